/* SPDX-License-Identifier: MIT */
/* Record locks of a process, found by a process that it has forked: that one has the descriptors and not the locks. */
#include <fcntl.h>
#include <unistd.h>
#include "group.h"

#define MOST_FDS 4096
#define MOST_LOCKS 1000

/* fcntl(2) reports one lock at a time, whoever has it. */
static bool has_lock(int fd, pid_t owner)
{
	struct flock lock = { .l_len = 0 };

	for (int i = 0; i < MOST_LOCKS; i++) {
		lock = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = lock.l_start + lock.l_len };
		if (fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
			return false;
		if (lock.l_pid == owner)
			return true;
		if (!lock.l_len)
			return false;
	}
	return false;
}

/* A descriptor of a file in which owner has a lock, or -1. */
int rfork_posix_find_lock(pid_t owner)
{
	for (int fd = 0; fd < MOST_FDS; fd++)
		if (has_lock(fd, owner))
			return fd;
	return -1;
}
