/* SPDX-License-Identifier: MIT */
/*
 * The structures and numbers of rfork_abi.h where there are no Linux headers. A test compares the two.
 */
#ifndef RFORK_TYPES_H
#define RFORK_TYPES_H

#include <stdint.h>

/* commands */
#define RFORK_CREATE		0
#define RFORK_CHECKPOINT	1
#define RFORK_INFO		2
#define RFORK_STOP		3
#define RFORK_RESTART		4

/* rfork_options.flags */
#define RFORK_ON_SIGNAL		0x1	/* on other fatal signals too, the OOM killer's */
#define RFORK_ON_STATUS		0x2	/* on any other non-zero status too */
#define RFORK_OUTLIVE		0x4	/* the group outlives its parent */
#define RFORK_NO_SPARE		0x8	/* slower, for a task and its memory less */
#define RFORK_NO_CHECKPOINT	0x10	/* RFORK_CHECKPOINT fails with EPERM */

/* The exit status that asks for a restart: ERESTART's number. */
#define RFORK_RESTART_STATUS	85

#define RFORK_DEFAULT_BURST	5
#define RFORK_DEFAULT_WINDOW_MS	10000
#define RFORK_BURST_UNLIMITED	0xffffffffu

/* cause: why an instance ended */
#define RFORK_CAUSE_NONE	0	/* first instance: none ended before it */
#define RFORK_CAUSE_REQUEST	1	/* it exited with restart_status */
#define RFORK_CAUSE_ERROR	2	/* SIGSEGV SIGBUS SIGFPE SIGILL SIGTRAP SIGSYS SIGABRT */
#define RFORK_CAUSE_SIGNAL	3	/* another fatal signal */
#define RFORK_CAUSE_STATUS	4	/* another non-zero exit status */
#define RFORK_CAUSE_OPERATOR	5	/* RFORK_RESTART; not counted against the burst */
#define RFORK_CAUSE_HEARTBEAT	6	/* the same by its watcher; counted */
#define RFORK_CAUSE_EXIT	7	/* it exited with status 0 */

/* reason: why a group ended */
#define RFORK_END_EXIT		1	/* the instance's end is not one to restart on */
#define RFORK_END_STOP		2	/* RFORK_STOP */
#define RFORK_END_BURST		3	/* restart intensity exceeded */
#define RFORK_END_POISONED	4	/* a checkpoint's image crashed in probation */
#define RFORK_END_NO_IMAGE	5	/* no template could be made for the last instance */
#define RFORK_END_OWNER		6	/* the parent is gone */

/* rfork_event.type */
#define RFORK_EV_CHECKPOINT	1	/* the restart point moved; old_pid is the instance */
#define RFORK_EV_RESTART	2	/* new_pid runs in place of old_pid */
#define RFORK_EV_END		3	/* old_pid was the last instance; nothing follows */

/* rfork_event.flags, rfork_info.flags */
#define RFORK_WARM		0x1	/* the instance began from a checkpoint's image */
#define RFORK_NO_IMAGE		0x2	/* its next end is the group's: no template */
#define RFORK_SPARE		0x4	/* it began at once: a copy had been kept ahead */

/*
 * read(2) on the group's descriptor returns whole records, oldest first, and
 * blocks (or EAGAIN) where there is none; poll(2) says POLLIN, and POLLHUP
 * once the END record has been read. A gap in seq counts lost records.
 */
struct rfork_event {
	uint64_t seq;	/* from 1 */
	uint32_t type;
	uint32_t cause;
	int32_t status;		/* of old_pid, as wait(2) gives it */
	int32_t old_pid;		/* PIDs as seen in the parent's PID namespace */
	int32_t new_pid;
	uint32_t flags;
	uint64_t generation; /* restarts so far */
	uint64_t fail_ns;	/* CLOCK_MONOTONIC when the old instance failed */
	uint64_t start_ns;	/* when the new one was about to run its first instruction */
	uint32_t reason;		/* RFORK_END_*, with RFORK_EV_END */
	uint32_t reserved;
};

struct rfork_info {
	int32_t rfd;		/* in: the group's descriptor, or -1: the caller's own group */
	uint32_t cause;		/* of the end of the instance before this one */
	int32_t status;
	int32_t pid;		/* 0: between two instances, or after the last */
	uint64_t generation;
	uint32_t flags;
	uint32_t reason;		/* RFORK_END_*; 0 while the group lives */
	uint64_t fail_ns;
	uint64_t start_ns;
};
#endif
