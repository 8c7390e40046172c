/* SPDX-License-Identifier: MIT */
/* The end of an event log that another has written. */
#include "../../run/run.h"
#include "fuzz.h"
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

void fuzz_one(const char *data, size_t size)
{
	static char path[40];
	static int fd = -1;
	struct run_tail tail;

	if (fd < 0) {
		fd = memfd_create("events", 0);
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	}
	MUST(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
	tail = run_tail_of(path);
	MUST(tail.whole <= (off_t)size);
	MUST(!tail.torn || tail.whole < (off_t)size);
}
