/* SPDX-License-Identifier: MIT */
/* What /proc/PID/stat tells, of the process whose file is open. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "internal.h"

enum { THREADS = 20, START = 22 };	/* as proc(5) counts */

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
