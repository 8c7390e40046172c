/* SPDX-License-Identifier: MIT */
/* The monitor: what the files share that run in it. */
#ifndef RFORK_POSIX_MONITOR_H
#define RFORK_POSIX_MONITOR_H

#include "group.h"

#define POSIX_QUEUE 256		/* events, as many as the kernel keeps */

struct rfork_posix_start {
	const struct rfork_options *options;
	pid_t owner;
	bool hidden;		/* the monitor is not the owner's child */
	int hello;		/* socket to the owner */
	sigset_t mask;		/* the instances' */
};

struct rfork_posix_queue {	/* events that the owner's socket has no room for yet */
	struct rfork_event events[POSIX_QUEUE];
	unsigned int first, count;
	uint64_t seq;
};

struct rfork_posix_monitor {
	struct rfork_options options;
	pid_t owner;
	bool hidden;
	int owner_socket;	/* -1: the owner has closed the group's descriptor */
	int control;		/* from instances */
	int image;		/* to the holder of the image for the next start; -1: the monitor is it */
	int parent;		/* to the holder that has forked the instance; -1: the monitor has */
	struct rfork_posix_watch watch;
	struct rfork_posix_queue queue;
	struct rfork_bucket bucket;
	struct rfork_posix_self self;	/* the instance; pid 0: none */
	pid_t old_pid;		/* of the restart under way */
	bool stopping;
	unsigned int kick;	/* cause of an end that was ordered, or 0 */
};

/* monitor.c: returns in instances only */
void rfork_posix_monitor_run(const struct rfork_posix_start *start);

/* restart.c */
int rfork_posix_spawn(struct rfork_posix_monitor *m);
bool rfork_posix_ended(struct rfork_posix_monitor *m, int status, uint64_t fail_ns);
_Noreturn void rfork_posix_finish(struct rfork_posix_monitor *m, unsigned int reason, unsigned int cause, int status);

/* commands.c */
void rfork_posix_commands(struct rfork_posix_monitor *m);

/* links.c: to instances and holders */
int rfork_posix_signal(struct rfork_posix_monitor *m, int signal);
void rfork_posix_notices(struct rfork_posix_monitor *m);
void rfork_posix_drop_image(struct rfork_posix_monitor *m);
void rfork_posix_drop_parent(struct rfork_posix_monitor *m);
int rfork_posix_start_warm(struct rfork_posix_monitor *m);
bool rfork_posix_hear(struct rfork_posix_monitor *m, int *status, uint64_t *fail_ns);

/* queue.c */
struct rfork_event *rfork_posix_queue_add(struct rfork_posix_monitor *m, unsigned int type);
void rfork_posix_queue_flush(struct rfork_posix_monitor *m);
void rfork_posix_queue_finish(struct rfork_posix_monitor *m);

#endif
