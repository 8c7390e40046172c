/* SPDX-License-Identifier: MIT */
/* Instances are in the mount namespace of the restart point, with what is mounted there; one that leaves it comes back to it. */
#define _GNU_SOURCE
#include <sched.h>
#include <sys/mount.h>
#include "system.h"

#define RESTARTS 10

static _Noreturn void instance(void)
{
	CHECK(access("mounted/file", F_OK) == 0);
	CHECK(access("mounted/other", F_OK) < 0);
	CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(umount2("mounted", MNT_DETACH) == 0);
	CHECK(mount("none", "mounted", "tmpfs", 0, NULL) == 0);
	close(open("mounted/other", O_CREAT | O_WRONLY, 0600));
	if (rfork_generation() < RESTARTS)
		abort();
	_exit(0);
}

static void in_namespace(void)
{
	CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(mount("none", "mounted", "tmpfs", 0, NULL) == 0);
	close(open("mounted/file", O_CREAT | O_WRONLY, 0600));
	run_to_exit(instance, RESTARTS);
	CHECK(access("mounted/file", F_OK) == 0);
}

int main(void)
{
	need_root("a namespace");
	CHECK(mkdir("mounted", 0700) == 0);
	apart(in_namespace);
	CHECK(access("mounted/file", F_OK) < 0);
	return 0;
}
