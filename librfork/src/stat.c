/* SPDX-License-Identifier: MIT */
/* What /proc/PID/stat tells, of the process whose file is open. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "internal.h"

enum { THREADS = 20, START = 22 };	/* as proc(5) counts */
enum { READINGS = 3 };	/* of two clocks; the process may be held up between them */

/* False: it cannot be read. What a kernel does not tell stays 0. */
bool rfork_stat_read(int fd, struct rfork_stat *stat)
{
	char text[1024], *field;
	ssize_t got = pread(fd, text, sizeof text - 1, 0);

	memset(stat, 0, sizeof *stat);
	if (got <= 0)
		return false;
	text[got] = '\0';
	field = strrchr(text, ')');	/* ends the name, which may have spaces in it */
	for (int number = 3; field && (field = strchr(field, ' ')); number++) {
		field++;
		if (number == THREADS)
			stat->threads = strtol(field, NULL, 10);
		else if (number == START)
			stat->start = strtoull(field, NULL, 10);
	}
	return stat->threads > 0;
}

/* Not where /proc is another PID namespace's. */
bool rfork_proc_is_ours(void)
{
	char text[16];
	ssize_t got = readlink("/proc/self", text, sizeof text - 1);

	if (got < 0)
		return false;
	text[got] = '\0';
	return strtol(text, NULL, 10) == getpid();
}

/* How far the clock of /proc is ahead of rfork_now(): it also counts the time that the machine was suspended. Never less than
 * that: the two are not read at once, and what lies in between must not make a process younger. */
static int64_t suspended_ns(void)
{
#ifdef CLOCK_BOOTTIME
	int64_t found = INT64_MAX;
	struct timespec boot;

	for (int i = 0; i < READINGS; i++) {
		int64_t now = (int64_t)rfork_now(), ahead;

		if (clock_gettime(CLOCK_BOOTTIME, &boot) < 0)
			return 0;
		ahead = (int64_t)boot.tv_sec * 1000000000 + boot.tv_nsec - now;
		if (ahead < found)
			found = ahead;
	}
	return found;
#else
	return 0;
#endif
}

/* Whether the process that has this PID began after that time, to a tick of the kernel's clock. False if /proc cannot tell. */
bool rfork_is_younger(pid_t pid, uint64_t ns)
{
	struct rfork_stat stat;
	char path[32] = "/proc/self/stat";
	int fd;

	if (pid != getpid() && !rfork_proc_is_ours())
		return false;
	if (pid != getpid())
		snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	rfork_stat_read(fd, &stat);
	close(fd);
	return (int64_t)stat.start * (1000000000 / sysconf(_SC_CLK_TCK)) - suspended_ns() > (int64_t)ns;
}
