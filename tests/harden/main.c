/* SPDX-License-Identifier: MIT */
/*
 * PID 1. On the kernel's command line: harden_seed=N, harden_seconds=N for fuzzing (0: none), harden_calls=N to stop
 * fuzzing after so many (0: no such end), harden_inject=0|1.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harden.h"

static void mount_on(const char *type, const char *place)
{
	mkdir(place, 0755);
	if (mount(type, place, type, 0, NULL) < 0)
		fail(place);
}

static void set_up(void)
{
	mount_on("proc", "/proc");
	mount_on("sysfs", "/sys");
	mount_on("tmpfs", "/tmp");
	mount_on("cgroup2", CGROUP);
	chmod("/tmp", 01777);
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL); /* a kernel without has no checkers either */
	share(1);
	if (write_file(CGROUP "/cgroup.subtree_control", "+pids +memory") < 0)
		fail("cgroup.subtree_control");
	mkdir(FUZZ_CGROUP, 0755);
	write_file("/proc/sys/debug/exception-trace", "0"); /* instances crash all the time */
	write_file("/proc/sys/kernel/core_pattern", "");
	if (syscall(__NR_rfork, RFORK_CHECKPOINT, NULL, 0) == 0 || errno != ESRCH)
		fail("rfork");
}

static unsigned long long setting(const char *name)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : 0;
}

int main(int count, char **arguments)
{
	long long seconds;

	if (count > 3 && !strcmp(arguments[0], "instance"))
		instance_after_exec(arguments);
	set_up();
	seconds = (long long)setting("harden_seconds");
	print_counts("progress begin");
	leaks_begin();
	if (setting("harden_inject"))
		inject();
	if (seconds)
		fuzz(setting("harden_seed"), now_ms() + seconds * 1000, setting("harden_calls"));
	print_counts("end");
	sync();
	reboot(RB_AUTOBOOT);
	return 111;
}
