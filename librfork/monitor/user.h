/* SPDX-License-Identifier: MIT */
/* The interface of monitor/: what src/ calls of the user-level backend. Functions return >= 0 or -errno. */
#ifndef RFORK_USER_H
#define RFORK_USER_H

#include <stdbool.h>
#include <stdint.h>
#include "rfork.h"

/* owner.c: the user level as the group's parent sees it */
pid_t rfork_user_create(const struct rfork_options *options, int *rfd);
int rfork_user_next_event(int rfd, struct rfork_event *event);
int rfork_user_ctl(int rfd, unsigned int cmd, int signal, unsigned int cause);
int rfork_user_query(int rfd, struct rfork_info *info);

/* possible.c */
bool rfork_user_possible(void);

/* self.c: the user level as an instance sees itself */
struct rfork_self {
	pid_t pid;
	int control;		/* socket to the monitor */
	uint64_t control_inode;	/* so that a reused number is not taken for it */
	uint32_t restart_status;
	uint32_t cause;
	int32_t status;
	uint32_t flags;
	uint64_t generation, fail_ns, start_ns;
};
const struct rfork_self *rfork_self(void);

/* checkpoint.c */
int64_t rfork_user_checkpoint(bool without_handlers);

#endif
