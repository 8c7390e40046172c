/* SPDX-License-Identifier: MIT */
/* For tests that look at the machine around them: /proc, cgroups, other users, templates. */
#ifndef SYSTEM_H
#define SYSTEM_H

#include "testing.h"
#include <grp.h>

#define NOBODY 65534

/* The file's beginning as a string: "" where there is none to be read. */
__attribute__((unused)) static const char *read_text(const char *path)
{
	static char text[8192];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof text - 1);

	if (fd >= 0)
		close(fd);
	text[got > 0 ? got : 0] = '\0';
	return text;
}

/* 0 or -errno; /proc and cgroups want it in one write. */
__attribute__((unused)) static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int rc = fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return rc;
}

/* The number after "NAME:" in /proc/PID/status, or -1. */
__attribute__((unused)) static long status_number(pid_t pid, const char *name)
{
	char path[64], wanted[64];
	const char *found;

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	snprintf(wanted, sizeof wanted, "\n%s:", name);
	found = strstr(read_text(path), wanted);
	return found ? strtol(found + strlen(wanted), NULL, 10) : -1;
}

__attribute__((unused)) static int is_template(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	return strstr(read_text(path), "\nRfork:\ttemplate") != NULL;
}

/* The kernel's template of a group whose parent we are. */
__attribute__((unused)) static pid_t find_template(void)
{
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	pid_t found = 0;

	CHECK(proc);
	while ((entry = readdir(proc))) {
		pid_t pid = atoi(entry->d_name);

		if (pid > 0 && status_number(pid, "PPid") == getpid() && is_template(pid))
			found = pid;
	}
	closedir(proc);
	CHECK(found);
	return found;
}

/* Of this test alone, so that nobody else's processes count or are hit. */
/* Of the caller's groups: those that wait, spares too. */
__attribute__((unused)) static int count_templates(void)
{
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	int count = 0;

	CHECK(proc);
	while ((entry = readdir(proc))) {
		pid_t pid = atoi(entry->d_name);

		count += pid > 0 && status_number(pid, "PPid") == getpid() && is_template(pid);
	}
	closedir(proc);
	return count;
}

__attribute__((unused)) static uid_t own_user(void)
{
	return 1000000 + (uid_t)getpid();
}

__attribute__((unused)) static void become_user(uid_t user)
{
	CHECK(setgroups(0, NULL) == 0);
	CHECK(setresgid(user, user, user) == 0);
	CHECK(setresuid(user, user, user) == 0);
}

__attribute__((unused)) static void limit_tasks(rlim_t tasks)
{
	struct rlimit limit = { tasks, tasks };

	CHECK(setrlimit(RLIMIT_NPROC, &limit) == 0);
}

__attribute__((unused)) static void need_root(const char *what)
{
	if (geteuid() != 0) {
		fprintf(stderr, "skipped: %s needs root\n", what);
		_exit(77);
	}
}

/* QEMU's user mode makes threads of its own, which count for the limit, and fails without them. */
__attribute__((unused)) static void need_exact_tasks(void)
{
	if (getenv("RFORK_TESTS_EMULATOR"))
		SKIP("the emulator needs tasks of its own");
}

/* For what would trouble everybody on the machine. */
__attribute__((unused)) static void need_machine(const char *what)
{
	need_root(what);
	if (!getenv("RFORK_TESTS_MACHINE")) {
		fprintf(stderr, "skipped: %s concerns the whole machine: done in guests only\n", what);
		_exit(77);
	}
}

__attribute__((unused)) static int is_kernel_level(void)
{
	return rfork_backend() == RFORK_BACKEND_KERNEL;
}

/* Runs in a process of its own, which may change what it likes about itself. */
__attribute__((unused)) static void apart(void (*what)(void))
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		what();
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	if (WIFEXITED(status) && WEXITSTATUS(status))
		_exit(WEXITSTATUS(status));
	EQUAL(status, 0);
}

#endif
