/* SPDX-License-Identifier: MIT */
/* A mount namespace of an instance's own: what it does not see, may not change, or shares with nobody. */
#include "run.h"
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
#define WITH_ALL_BELOW 0x8000	/* AT_RECURSIVE */
struct mount_attributes {
	uint64_t set, clear, propagation, userns;
};

static long change_mount(const char *path, const struct mount_attributes *wanted, size_t size)
{
	return syscall(MOUNT_SETATTR, AT_FDCWD, path, WITH_ALL_BELOW, wanted, size);
}

/* Before Linux 5.12 a mount could not be made read-only with what is mounted below it. */
static bool no_read_only(void)
{
	return change_mount("", NULL, 0) < 0 && errno == ENOSYS;
}

bool run_mounts_missing(const struct run_config *config)
{
	bool wanted = false;

	for (unsigned int i = 0; i < config->mount_count; i++)
		wanted |= !config->mounts[i].hidden;
	return wanted && no_read_only();
}

static void hide(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		run_fail("hidden path", path);
	if (S_ISDIR(st.st_mode) ? mount("tmpfs", path, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=555") < 0 :
				  mount("/dev/null", path, NULL, MS_BIND, NULL) < 0)
		run_fail("hidden path", path);
}

static void make_read_only(const char *path)
{
	struct mount_attributes wanted = { .set = 1 /* MOUNT_ATTR_RDONLY */ };

	if (no_read_only())
		return;
	if (mount(path, path, NULL, MS_BIND | MS_REC, NULL) < 0 || change_mount(path, &wanted, sizeof wanted) < 0)
		run_fail("read-only path", path);
}

/* It is memory, so it has a bound, as the device's own /tmp has (overlay/etc/init.d/rcS). */
static void own(const char *path)
{
	if (mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=10%,nr_inodes=4k") < 0)
		run_fail("private /tmp", path);
}

static bool below(const char *path, const char *root)
{
	char *real = realpath(path, NULL), *real_root = realpath(root, NULL);
	size_t length = real_root ? strlen(real_root) : 0;
	bool is = real && real_root && !strncmp(real, real_root, length) && (real[length] == '/' || length == 1);

	if (!real)
		run_fail("mount", path);
	free(real);
	free(real_root);
	return is;
}

/* A path as the component names it: below its root directory, which a link there must not lead out of. */
static void apply(const struct run_config *config, void (*change)(const char *path), const char *path)
{
	char whole[4096];

	if (snprintf(whole, sizeof whole, "%s%s", config->root ? config->root : "", path) >= (int)sizeof whole) {
		errno = ENAMETOOLONG;
		run_fail("mount", path);
	}
	if (config->root && !below(whole, config->root)) {
		errno = EXDEV;
		run_fail("a path that leads out of --root", path);
	}
	change(whole);
}

void run_mounts(const struct run_config *config)
{
	if (!config->mount_count && !config->private_tmp)
		return;
	if (unshare(CLONE_NEWNS) < 0)
		run_fail("unshare", "CLONE_NEWNS");
	/* Nothing of here is seen by others; what they mount later is seen here where their mounts are shared. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		run_fail("mount", "/");
	/* /tmp comes last: the others' paths may lie in everybody's. */
	for (unsigned int i = 0; i < config->mount_count; i++)
		apply(config, config->mounts[i].hidden ? hide : make_read_only, config->mounts[i].path);
	if (config->private_tmp)
		apply(config, own, "/tmp");
}
