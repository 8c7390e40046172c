/* SPDX-License-Identifier: MIT */
/* For tests in a cgroup (version 2) of their own. */
#ifndef CGROUP_H
#define CGROUP_H

#include "system.h"

#define CGROUP_ROOT "/sys/fs/cgroup"

static char cgroup_path[64];

__attribute__((unused)) static void cgroup_file(char *path, size_t size, const char *file)
{
	CHECK((size_t)snprintf(path, size, "%s/%s", cgroup_path, file) < size);
}

__attribute__((unused)) static const char *cgroup_read(const char *file)
{
	char path[128];

	cgroup_file(path, sizeof path, file);
	return read_text(path);
}

__attribute__((unused)) static long cgroup_number(const char *file)
{
	return strtol(cgroup_read(file), NULL, 10);
}

__attribute__((unused)) static void cgroup_write(const char *file, const char *text)
{
	char path[128];

	cgroup_file(path, sizeof path, file);
	EQUAL(write_text(path, text), 0);
}

/* Makes one with these controllers ("+pids +memory"), or skips the test. */
__attribute__((unused)) static void cgroup_make(const char *controllers)
{
	need_machine("a cgroup");
	if (access(CGROUP_ROOT "/cgroup.controllers", F_OK) < 0)
		SKIP("this kernel has no cgroups of version 2");
	if (write_text(CGROUP_ROOT "/cgroup.subtree_control", controllers) < 0)
		SKIP("the controllers are not there");
	snprintf(cgroup_path, sizeof cgroup_path, CGROUP_ROOT "/rfork-test-%d", getpid());
	CHECK(mkdir(cgroup_path, 0755) == 0);
}

/* For the child that is to live there. */
__attribute__((unused)) static void cgroup_enter(void)
{
	cgroup_write("cgroup.procs", "0");
}

/* Everything in it has ended, so that nothing keeps it. */
__attribute__((unused)) static void cgroup_remove(void)
{
	EVENTUALLY(rmdir(cgroup_path) == 0);
}

#endif
