/* SPDX-License-Identifier: MIT */
/* The interface of src/: the kernel backend, and what both levels share. Functions return >= 0 or -errno. */
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
void rfork_held_find(struct rfork_held *held, bool rebuilt);
bool rfork_kernel_since(int major, int minor);

/* rebuild.c */
int rfork_rebuild_note(char *which, size_t size);
const char *rfork_rebuild_make(void);

/* kernel.c */
pid_t rfork_kernel_create(const struct rfork_options *options, int *rfd);
int rfork_kernel_next_event(int rfd, struct rfork_event *event);
int rfork_reap_ended(pid_t pid, uint64_t ended_ns);
int rfork_kernel_ctl(int rfd, unsigned int cmd, int signal, unsigned int cause);
int rfork_kernel_query(int rfd, struct rfork_info *info);
int64_t rfork_kernel_checkpoint(bool without_handlers);
bool rfork_kernel_present(void);

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

#endif
