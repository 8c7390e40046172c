/* SPDX-License-Identifier: MIT */
/*
 * The monitor: the user level's pristine image, and the process that watches the
 * instance that it has forked from itself.
 */
#ifndef RFORK_MONITOR_H
#define RFORK_MONITOR_H

#include <signal.h>
#include "instance.h"

#define RFORK_QUEUE 256	/* as many as the kernel keeps */
#define RFORK_FIRST_PAUSE_NS (100 * RFORK_NSEC_PER_MSEC)	/* after a spare was lost or could not be made */

struct rfork_start {
	const struct rfork_options *options;
	pid_t owner;
	int hello;		/* socket to the owner */
	sigset_t mask;		/* the instances' */
};

struct rfork_queue {		/* events that the owner's socket has no room for yet */
	struct rfork_event events[RFORK_QUEUE];
	unsigned int first, count;
	uint64_t seq;
};

struct rfork_image {		/* the holder of a checkpoint's image */
	pid_t pid;		/* 0: none */
	int socket;
};

struct rfork_control {		/* a socket pair for the notices of an instance */
	int ours, theirs;	/* -1: none */
	uint64_t inode;		/* of theirs */
};

struct rfork_spare {		/* the next instance, waiting for its turn */
	pid_t pid;		/* 0: none */
	pid_t keeper;		/* 0: none, or not known yet */
	int go;			/* a pipe to it; -1: none */
	struct rfork_control control; /* none: it has the instance's */
	uint32_t flags;
};

struct rfork_monitor {
	struct rfork_options options;
	pid_t pid, owner;
	uid_t user, saved_user;
	int owner_socket;	/* -1: the owner has closed the group's descriptor */
	struct rfork_control control; /* the instance's */
	struct rfork_control stale; /* the last instance's, to be closed after the restart */
	int number;		/* of their end in instances */
	int signals;		/* a signalfd */
	bool owner_waits;	/* there may be a command */
	bool notice_waits;	/* there may be a notice */
	bool spare_gone;	/* nobody reads what it is told */
	bool reap_later;	/* there may be children that have ended */
	bool reap_more;		/* so many have ended or stopped that some have not been looked at */
	unsigned int notices;	/* that came since this time: more than a program needs are left for later */
	uint64_t notices_since;
	struct rfork_queue queue;
	struct rfork_image image;
	struct rfork_spare spare;
	struct rfork_bucket bucket;
	struct rfork_self self;	/* the instance now; pid 0: none */
	pid_t old_pid;		/* of the restart under way */
	pid_t unreaped;		/* the same, where only its status has been asked for; 0: none */
	pid_t keeper;		/* of the instance's memory; 0: none, or not known yet */
	pid_t late_keeper;	/* of the last instance's */
	bool freeing;		/* and it has been killed */
	uint64_t settle_at;	/* when to do what a restart has put off; 0: nothing to do */
	uint64_t pause_ns;	/* until the next try to make a spare */
	bool stopping;
	unsigned int kick;	/* cause of an end that was ordered, or 0 */
};

/* monitor.c */
void rfork_monitor_run(const struct rfork_start *start);

/* commands.c */
void rfork_monitor_commands(struct rfork_monitor *m);

/* notices.c */
int rfork_control_open(struct rfork_control *control);
void rfork_notices_heed(struct rfork_monitor *m);
void rfork_notices_heed_last(struct rfork_monitor *m);
bool rfork_notices_too_many(const struct rfork_monitor *m);

/* restart.c */
int rfork_monitor_spawn(struct rfork_monitor *m);
void rfork_monitor_reap(struct rfork_monitor *m);
bool rfork_monitor_ended(struct rfork_monitor *m, int status);
_Noreturn void rfork_monitor_finish(struct rfork_monitor *m, unsigned int reason, unsigned int cause, int status);
_Noreturn void rfork_monitor_abandon(struct rfork_monitor *m);

/* spare.c */
void rfork_control_close(struct rfork_control *control);
bool rfork_spare_is_ready(struct rfork_monitor *m);
void rfork_spare_take(struct rfork_monitor *m);
void rfork_spare_go(struct rfork_monitor *m);
void rfork_spare_drop(struct rfork_monitor *m);
void rfork_spare_reaped(struct rfork_monitor *m, pid_t pid);
void rfork_spare_keeper(struct rfork_monitor *m, pid_t keeper, pid_t whose);
void rfork_spare_instance_ended(struct rfork_monitor *m);
void rfork_spare_free_late(struct rfork_monitor *m);
void rfork_spare_free_now(struct rfork_monitor *m);
void rfork_spare_settle_after(struct rfork_monitor *m, uint64_t ns);
int rfork_spare_timeout(const struct rfork_monitor *m);

/* make.c */
int rfork_make_waiting(struct rfork_monitor *m, bool ahead);
int rfork_make_settle(struct rfork_monitor *m);

/* children.c */
int rfork_child_check(const struct rfork_monitor *m, pid_t pid);
void rfork_child_reap(pid_t pid);
void rfork_child_end(pid_t pid);
int rfork_child_signal(struct rfork_monitor *m, int signal);

/* image.c */
void rfork_image_take(struct rfork_monitor *m, struct rfork_packet *packet, pid_t holder);
pid_t rfork_image_start(struct rfork_monitor *m, int turn, uint32_t how);
void rfork_image_drop(struct rfork_monitor *m, bool dead);

/* queue.c */
struct rfork_event *rfork_queue_add(struct rfork_monitor *m, unsigned int type);
void rfork_queue_flush(struct rfork_monitor *m);
void rfork_queue_limit(struct rfork_monitor *m);
void rfork_queue_finish(struct rfork_monitor *m);

/* signals.c */
int rfork_signals_take(const sigset_t *instance_mask);
void rfork_signals_give_back(void);
uint64_t rfork_signals_pending(void);
#define RFORK_CHILD_SIGNAL (1ull << (SIGCHLD - 1))	/* a child has ended, or stopped */
bool rfork_signals_read(int fd, uint64_t *forward);

#endif
