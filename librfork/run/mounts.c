/* SPDX-License-Identifier: MIT */
/* A mount namespace of an instance's own: what it does not see, may not change, or shares with nobody. */
#include "path.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/mount.h, which the headers of an older system lack. */
#define MOUNT_SETATTR 442
#define OPEN_TREE 428
#define MOVE_MOUNT 429
#define WITH_ALL_BELOW 0x8000	/* AT_RECURSIVE */
#define OF_DESCRIPTOR 0x1000	/* AT_EMPTY_PATH */
#define CLONE_TREE 1		/* OPEN_TREE_CLONE */
#define FROM_DESCRIPTOR 0x4	/* MOVE_MOUNT_F_EMPTY_PATH */
#define TO_DESCRIPTOR 0x40	/* MOVE_MOUNT_T_EMPTY_PATH */
struct mount_attributes {
	uint64_t set, clear, propagation, userns;
};

static long change_mount(int tree, const struct mount_attributes *wanted, size_t size)
{
	return syscall(MOUNT_SETATTR, tree, "", OF_DESCRIPTOR | WITH_ALL_BELOW, wanted, size);
}

/* Before Linux 5.12 a mount could not be made read-only with what is mounted below it. */
static bool no_read_only(void)
{
	return change_mount(-1, NULL, 0) < 0 && errno == ENOSYS;
}

bool run_mounts_missing(const struct run_config *config)
{
	bool wanted = false;

	for (unsigned int i = 0; i < config->mount_count; i++)
		wanted |= !config->mounts[i].hidden;
	return wanted && no_read_only();
}

/* A folder is mounted on as ".", so that no name is looked up again. */
static int mount_folder(const char *options, unsigned long flags, int folder)
{
	if (fchdir(folder) < 0)
		return -1;
	return mount("tmpfs", ".", "tmpfs", flags, options);
}

static int hide_file(int file)
{
	char name[32];

	snprintf(name, sizeof name, "/proc/self/fd/%d", file);
	return mount("/dev/null", name, NULL, MS_BIND, NULL);
}

static int hide(int target)
{
	struct stat st;

	if (fstat(target, &st) < 0)
		return -1;
	if (!S_ISDIR(st.st_mode))
		return hide_file(target);
	return mount_folder("mode=555", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, target);
}

static int make_read_only(int target)
{
	struct mount_attributes wanted = { .set = 1 /* MOUNT_ATTR_RDONLY */ };
	int tree;
	long rc;

	if (no_read_only())
		return 0;
	tree = (int)syscall(OPEN_TREE, target, "", CLONE_TREE | OF_DESCRIPTOR | WITH_ALL_BELOW | O_CLOEXEC);
	if (tree < 0)
		return -1;
	rc = change_mount(tree, &wanted, sizeof wanted);
	if (rc == 0)
		rc = syscall(MOVE_MOUNT, tree, "", target, "", FROM_DESCRIPTOR | TO_DESCRIPTOR);
	close(tree);
	return (int)rc;
}

/* It is memory, so it has a bound, as the device's own /tmp has (overlay/etc/init.d/rcS). */
static int own(int target)
{
	return mount_folder("mode=1777,size=10%,nr_inodes=4k", MS_NOSUID | MS_NODEV, target);
}

/* A path as the component names it: below its root directory, which a link there does not lead out of. */
static void apply(const struct run_config *config, int root, const char *what, int (*change)(int target), const char *path)
{
	int target = run_path_target(config, root, path);

	if (target < 0)
		run_path_fail(what);
	if (change(target) < 0)
		run_fail(what, path);
	close(target);
}

static void apply_all(const struct run_config *config, int root)
{
	/* /tmp comes last: the others' paths may lie in everybody's. */
	for (unsigned int i = 0; i < config->mount_count; i++) {
		bool hidden = config->mounts[i].hidden;

		apply(config, root, hidden ? "hidden path" : "read-only path", hidden ? hide : make_read_only,
		      config->mounts[i].path);
	}
	if (config->private_tmp)
		apply(config, root, "private /tmp", own, "/tmp");
}

void run_mounts(const struct run_config *config)
{
	int here, root = -1;

	if (!config->mount_count && !config->private_tmp)
		return;
	if (unshare(CLONE_NEWNS) < 0)
		run_fail("unshare", "CLONE_NEWNS");
	/* Nothing of here is seen by others; what they mount later is seen here where their mounts are shared. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		run_fail("mount", "/");
	here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (config->root && (root = run_path_folder(config, config->root)) < 0)
		run_path_fail("root");
	apply_all(config, root);
	if (here < 0 || fchdir(here) < 0)
		run_fail("chdir", ".");
	close(here);
	if (root >= 0)
		close(root);
}
