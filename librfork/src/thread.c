/* SPDX-License-Identifier: MIT */
/*
 * A clone made behind the C library's back. The library keeps the thread's ID in
 * its thread control block (raise(), abort() and some mutexes use it) and has told
 * the kernel where its robust mutex list is; both are wrong in such a child, so
 * that abort() would signal the process that it was copied from.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "internal.h"

#define GET_TID_ADDRESS 40	/* prctl, Linux 3.5 with CONFIG_CHECKPOINT_RESTORE */

#if defined(__x86_64__) && !defined(__ILP32__)
#ifdef __GLIBC__
static const size_t tid_offsets[] = { 720 };
#else
static const size_t tid_offsets[] = { 48, 56 };	/* musl since 1.1.22, and before */
#endif

static int *find_tid(void)
{
	int tid = (int)syscall(SYS_gettid);
	char *block;

	__asm__("mov %%fs:0, %0" : "=r"(block));
	for (size_t i = 0; i < sizeof tid_offsets / sizeof *tid_offsets; i++) {
		int *field = (int *)(void *)(block + tid_offsets[i]);

		/* A library with another layout is left alone. */
		if (*field == tid)
			return field;
	}
	return NULL;
}
#else
static int *find_tid(void)
{
	return NULL;
}
#endif

void rfork_thread_save(struct rfork_thread *thread)
{
	memset(thread, 0, sizeof *thread);
	thread->tid = find_tid();
	if (syscall(SYS_get_robust_list, 0, &thread->robust_head, &thread->robust_len) < 0)
		thread->robust_head = NULL;
	if (prctl(GET_TID_ADDRESS, &thread->clear_tid) < 0) {
#ifdef __GLIBC__
		thread->clear_tid = thread->tid;
#else
		thread->clear_tid = NULL;
#endif
	}
}

void rfork_thread_restore(const struct rfork_thread *thread)
{
	if (thread->tid)
		*thread->tid = (int)syscall(SYS_gettid);
	if (thread->robust_head)
		syscall(SYS_set_robust_list, thread->robust_head, thread->robust_len);
	if (thread->clear_tid)
		syscall(SYS_set_tid_address, thread->clear_tid);
}

/* fork(2) with these clone flags and exit signal, without the C library's handlers:
 * an image must not change by being started. */
pid_t rfork_raw_fork(unsigned long flags)
{
	struct rfork_thread thread;
	int saved = errno;
	long pid;

	rfork_thread_save(&thread);
	pid = syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
	if (pid < 0)
		pid = -errno;
	else if (pid == 0)
		rfork_thread_restore(&thread);
	errno = saved;
	return (pid_t)pid;
}

/* 0 where that cannot be read. */
static long threads_in_proc(void)
{
	struct rfork_stat stat = { 0 };
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	rfork_stat_read(fd, &stat);
	close(fd);
	return stat.threads;
}

static bool alone_now(void)
{
	/* Refused in a threaded process, without effect in any other (CLONE_VM would also be refused for a
	 * keeper). Where the call itself is forbidden, or somebody looks at our memory
	 * through /proc on an old kernel, the thread count decides. */
	return unshare(CLONE_SIGHAND) == 0 || threads_in_proc() == 1;
}

/* A joined thread may still be leaving the kernel; a busy machine takes its time for that. */
bool rfork_single_threaded(void)
{
	const struct timespec pause = { .tv_nsec = 100000 };
	uint64_t deadline = rfork_now() + 500 * RFORK_NSEC_PER_MSEC;
	int saved = errno;
	bool alone = alone_now();

	while (!alone && rfork_now() < deadline) {
		nanosleep(&pause, NULL);
		alone = alone_now();
	}
	errno = saved;
	return alone;
}
