/* SPDX-License-Identifier: MIT */
/* What an instance may do is cut down to what was granted, before it executes its program. What this kernel
 * has not got is told at the start (run_missing), not passed over. */
#include "path.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PR_SET_NO_NEW_PRIVS
#define PR_SET_NO_NEW_PRIVS 38
#endif
#ifndef PR_CAP_AMBIENT
#define PR_CAP_AMBIENT 47
#define PR_CAP_AMBIENT_RAISE 2
#endif
#define LAST_CAPABILITY 63

/* linux/landlock.h, which the headers of an older system lack. */
#define LANDLOCK_CREATE 444
#define LANDLOCK_ADD 445
#define LANDLOCK_RESTRICT 446
#define LANDLOCK_VERSION_FLAG 1u
#define LANDLOCK_PATH_BENEATH 1
#define MAY_EXECUTE (1ull << 0)
#define MAY_WRITE_FILE (1ull << 1)
#define MAY_READ_FILE (1ull << 2)
#define MAY_READ_DIR (1ull << 3)
#define MAY_TRUNCATE (1ull << 14)
#define MAY_IOCTL (1ull << 15)
#define OF_A_FILE (MAY_EXECUTE | MAY_WRITE_FILE | MAY_READ_FILE | MAY_TRUNCATE | MAY_IOCTL)

struct path_rule {
	uint64_t allowed;
	int32_t parent;
} __attribute__((packed));

static long landlock_version(void)
{
	return syscall(LANDLOCK_CREATE, NULL, 0, LANDLOCK_VERSION_FLAG);
}

/* The rights that this version knows: all that can be refused is. */
static uint64_t handled(long version)
{
	uint64_t bits = (1ull << 13) - 1;

	if (version >= 2)
		bits |= 1ull << 13;	/* refer */
	if (version >= 3)
		bits |= MAY_TRUNCATE;
	if (version >= 5)
		bits |= MAY_IOCTL;
	return bits;
}

static void allow(const struct run_config *config, int ruleset, const char *path, uint64_t rights)
{
	struct path_rule rule = { .allowed = rights };
	struct stat st;

	rule.parent = run_path_target(config, -1, path);
	if (rule.parent < 0 || fstat(rule.parent, &st) < 0)
		run_path_fail("granted path");
	if (!S_ISDIR(st.st_mode))
		rule.allowed &= OF_A_FILE;
	if (syscall(LANDLOCK_ADD, ruleset, LANDLOCK_PATH_BENEATH, &rule, 0) < 0)
		run_fail("landlock_add_rule", path);
	close(rule.parent);
}

static void restrict_files(const struct run_config *config)
{
	long version = config->grant_count ? landlock_version() : 0;
	uint64_t all = handled(version);
	int ruleset;

	if (version <= 0)
		return;
	ruleset = (int)syscall(LANDLOCK_CREATE, &all, sizeof all, 0);
	if (ruleset < 0)
		run_fail("landlock_create_ruleset", "");
	for (unsigned int i = 0; i < config->grant_count; i++)
		allow(config, ruleset, config->grants[i].path,
		      all & (config->grants[i].write ? all : MAY_EXECUTE | MAY_READ_FILE | MAY_READ_DIR));
	if (syscall(LANDLOCK_RESTRICT, ruleset, 0) < 0)
		run_fail("landlock_restrict_self", "");
	close(ruleset);
}

/* An image from before a restart has its descriptors; a program cannot get at more than these paths anew. */
static void drop_bounding(uint64_t kept)
{
	for (int cap = 0; cap <= LAST_CAPABILITY; cap++)
		if (!(kept >> cap & 1) && prctl(PR_CAPBSET_READ, cap) == 1 && prctl(PR_CAPBSET_DROP, cap) < 0)
			run_fail("prctl", "PR_CAPBSET_DROP");
}

static void keep_capabilities(uint64_t kept)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	for (int i = 0; i < 2; i++) {
		uint32_t part = (uint32_t)(kept >> (32 * i));

		data[i] = (struct __user_cap_data_struct){ part, part, part };
	}
	/* An old kernel, which knows but the first 32, refuses with EINVAL and says what version it takes. */
	if (syscall(SYS_capset, &header, data) < 0 && (errno != EINVAL || syscall(SYS_capset, &header, data) < 0))
		run_fail("capset", "");
	for (int cap = 0; cap <= LAST_CAPABILITY; cap++)
		if (kept >> cap & 1)
			prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
}

void run_confine_root(const struct run_config *config)
{
	int root;

	if (!config->root)
		return;
	root = run_path_folder(config, config->root);
	if (root < 0)
		run_path_fail("root");
	if (fchdir(root) < 0 || chroot(".") < 0 || chdir("/") < 0)
		run_fail("chroot", config->root);
	close(root);
}

/* Before the user changes: only root may do these. */
void run_confine_before(const struct run_config *config)
{
	if (!config->limit_capabilities)
		return;
	drop_bounding(config->capabilities);
	if (config->user && config->capabilities && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		run_fail("prctl", "PR_SET_KEEPCAPS");
}

/* After it. */
void run_confine_after(const struct run_config *config)
{
	if (config->limit_capabilities)
		keep_capabilities(config->capabilities);
	if ((config->no_new_privileges || config->grant_count) && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 &&
	    errno != EINVAL)
		run_fail("prctl", "PR_SET_NO_NEW_PRIVS");
	restrict_files(config);
}

/* What was asked for and this kernel has not got, for the `missing` record; "" for nothing. */
const char *run_missing(const struct run_config *config)
{
	static char text[64];

	*text = '\0';
	if (config->grant_count && landlock_version() <= 0)
		strcat(text, "access,");
	if (run_mounts_missing(config))
		strcat(text, "read_only,");
	if (config->limit_capabilities && prctl(PR_CAPBSET_READ, 0) < 0)
		strcat(text, "capabilities,");
	if (config->no_new_privileges && prctl(39, 0, 0, 0, 0) < 0)	/* PR_GET_NO_NEW_PRIVS */
		strcat(text, "no_new_privileges,");
	if (config->cgroup_set_count && !config->cgroup_made)
		strcat(text, "cgroup,");
	if (*text)
		text[strlen(text) - 1] = '\0';
	return text;
}
