/* SPDX-License-Identifier: MIT */
/* What the parts of librfork share. Functions return >= 0 or -errno. */
#ifndef RFORK_INTERNAL_H
#define RFORK_INTERNAL_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "rfork.h"

#define RFORK_NSEC_PER_MSEC 1000000ull

/* clock.c */
uint64_t rfork_now(void);

/* stat.c */
struct rfork_stat {
	long threads;
	unsigned long long start;	/* clock ticks since the boot */
};
bool rfork_stat_read(int fd, struct rfork_stat *stat);
bool rfork_proc_is_ours(void);
bool rfork_is_younger(pid_t pid, uint64_t ns);

/* thread.c: what a libc remembers about the calling thread and a raw clone makes stale */
struct rfork_thread {
	int *tid;
	void *robust_head;
	size_t robust_len;
	void *clear_tid;
};
void rfork_thread_save(struct rfork_thread *thread);
void rfork_thread_restore(const struct rfork_thread *thread);
pid_t rfork_raw_fork(unsigned long flags);
bool rfork_single_threaded(void);

/* atfork.c */
long rfork_in_fork(long (*body)(void *), void *argument, bool without_handlers);
void rfork_in_fork_child(void);

/* held.c */
struct rfork_held {
	char lock[320];		/* a file in which the process has a record lock, or "" */
	char shared[160];	/* "epoll 4, flock 5", or "" */
};
void rfork_held_find(struct rfork_held *held);

/* kernel.c */
pid_t rfork_kernel_create(const struct rfork_options *options, int *rfd);
int rfork_kernel_next_event(int rfd, struct rfork_event *event);
int rfork_reap_ended(pid_t pid, uint64_t ended_ns);
int rfork_kernel_ctl(int rfd, unsigned int cmd, int signal, unsigned int cause);
int rfork_kernel_query(int rfd, struct rfork_info *info);
int64_t rfork_kernel_checkpoint(bool without_handlers);
bool rfork_kernel_present(void);

/* owner.c: the user level as the group's parent sees it */
pid_t rfork_user_create(const struct rfork_options *options, int *rfd);
int rfork_user_next_event(int rfd, struct rfork_event *event);
int rfork_user_ctl(int rfd, unsigned int cmd, int signal, unsigned int cause);
int rfork_user_query(int rfd, struct rfork_info *info);

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
const struct rfork_self *rfork_self_inherited(void);
int rfork_self_prepare(void);
void rfork_self_set(const struct rfork_self *self);
void rfork_self_renew(const struct rfork_self *self);
int rfork_self_control(void);
void rfork_self_arrange(struct rfork_self *self, pid_t monitor, int death_signal);

/* keeper.c */
void rfork_keeper_start(const struct rfork_self *self, pid_t monitor);

/* waiting.c */
void rfork_self_hide(void);
void rfork_self_show(void);
void rfork_self_wait_turn(struct rfork_self *self, pid_t monitor, int death_signal, int from, uint32_t order);

/* checkpoint.c */
int64_t rfork_user_checkpoint(bool without_handlers);

/* policy.c: the restart decision */
struct rfork_bucket {
	uint64_t interval_ns, window_ns, full_at; /* burst 0: no limit */
	bool limited;
};
unsigned int rfork_classify(int status, unsigned int restart_status);
bool rfork_is_crash(unsigned int cause);
bool rfork_restarts_on(unsigned int cause, uint64_t flags);
void rfork_bucket_init(struct rfork_bucket *bucket, uint32_t burst, uint32_t window_ms);
bool rfork_bucket_take(struct rfork_bucket *bucket, uint64_t now);

/* api.c */
extern uint32_t rfork_own_restart_status;

#endif
