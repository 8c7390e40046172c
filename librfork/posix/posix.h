/* SPDX-License-Identifier: MIT */
/* The interface of posix/: what src/ calls of the portable backend. Functions return >= 0 or -errno. */
#ifndef RFORK_POSIX_H
#define RFORK_POSIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "rfork.h"

/* owner.c: the backend as the group's parent sees it */
pid_t rfork_posix_create(const struct rfork_options *options, int *rfd);
bool rfork_posix_is_group(int rfd);
int rfork_posix_next_event(int rfd, struct rfork_event *event);
int rfork_posix_ctl(int rfd, unsigned int cmd, int signal, unsigned int cause);
int rfork_posix_query(int rfd, struct rfork_info *info);

/* self.c: the backend as an instance sees itself */
struct rfork_posix_self {
	pid_t pid, parent;
	int control;		/* socket to the monitor */
	uint64_t control_inode;	/* so that a reused number is not taken for it */
	uint32_t restart_status;
	uint32_t cause;
	int32_t status;
	uint32_t flags;
	uint64_t generation, fail_ns, start_ns;
};
const struct rfork_posix_self *rfork_posix_self(void);

/* checkpoint.c: on -ENOLCK, problem names the descriptor that has the lock */
int64_t rfork_posix_checkpoint(uint64_t flags, char *problem, size_t size);

#endif
