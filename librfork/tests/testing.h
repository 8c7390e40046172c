/* SPDX-License-Identifier: MIT */
/*
 * For the tests: one program a behaviour, which exits 0 (holds), 1 (does not) or 77
 * (cannot be tried here). Memory from shared() is the same in all instances, so that
 * an instance can leave word for the test.
 */
#ifndef TESTING_H
#define TESTING_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "rfork.h"

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno); \
			_exit(1); \
		} \
	} while (0)

#define EQUAL(got, wanted) \
	do { \
		long long got_ = (long long)(got), wanted_ = (long long)(wanted); \
		if (got_ != wanted_) { \
			fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #got, got_, wanted_); \
			_exit(1); \
		} \
	} while (0)

#define SKIP(reason) \
	do { \
		fprintf(stderr, "skipped: %s\n", reason); \
		_exit(77); \
	} while (0)

/* For behaviour that a backend may lack: rfork(3) has the table. */
__attribute__((unused)) static int can(uint64_t feature)
{
	return (rfork_features(RFORK_BACKEND_AUTO) & feature) == feature;
}

__attribute__((unused)) static void need(uint64_t feature, const char *reason)
{
	if (!can(feature))
		SKIP(reason);
}

/* How often: few times while one works on the code, as often as it takes where run-tests has --full. */
__attribute__((unused)) static int few_or_all(int few, int all)
{
	return getenv("RFORK_TESTS_FULL") ? all : few;
}

__attribute__((unused)) static void *shared(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(memory != MAP_FAILED);
	return memory;
}

/* For tests that count tasks: without one kept ahead, where the interface has that. */
#ifdef RFORK_NO_SPARE
#define NO_SPARE RFORK_NO_SPARE
#else
#define NO_SPARE 0
#endif

/* Unlimited restarts unless the test says otherwise: most are about something else. */
__attribute__((unused)) static struct rfork_options options_for_many(void)
{
	return (struct rfork_options){ .burst = RFORK_BURST_UNLIMITED };
}

/* So long a thing that must come may take on a busy machine: half of what run-tests gives a whole test, whose end would not
 * tell what it was that did not come. */
__attribute__((unused)) static long patience_ms(void)
{
	const char *limit = getenv("RFORK_TESTS_LIMIT");

	return limit ? atol(limit) * 500 : 60000;
}

__attribute__((unused)) static struct rfork_event next_event(int rfd, unsigned int type)
{
	struct pollfd waiting = { .fd = rfd, .events = POLLIN };
	struct rfork_event event = { 0 };

	EQUAL(poll(&waiting, 1, (int)patience_ms()), 1);
	EQUAL(rfork_next_event(rfd, &event), 1);
	EQUAL(event.type, type);
	return event;
}

__attribute__((unused)) static struct rfork_event expect_end(int rfd, unsigned int reason)
{
	struct rfork_event event = next_event(rfd, RFORK_EV_END);

	EQUAL(event.reason, reason);
	return event;
}

/* A group whose instances do this, to its exit with 0 after so many restarts, each of which is told. */
__attribute__((unused)) static void run_to_exit(void (*instance)(void), int restarts)
{
	struct rfork_options options = options_for_many();
	struct rfork_event end;
	int rfd;
	pid_t pid = rfork_create(&options, &rfd);

	CHECK(pid >= 0);
	if (pid == 0) {
		instance();
		_exit(1);
	}
	for (int i = 0; i < restarts; i++)
		next_event(rfd, RFORK_EV_RESTART);
	end = expect_end(rfd, RFORK_END_EXIT);
	EQUAL(end.status, 0);
	EQUAL(end.generation, restarts);
	close(rfd);
}

/* A group whose instances do nothing but wait. */
__attribute__((unused)) static pid_t create_waiting(const struct rfork_options *options, int *rfd)
{
	pid_t pid = rfork_create(options, rfd);

	CHECK(pid >= 0);
	while (pid == 0)
		pause();
	return pid;
}

__attribute__((unused)) static void stop_group(int rfd)
{
	EQUAL(rfork_stop(rfd, SIGKILL), 0);
	expect_end(rfd, RFORK_END_STOP);
}

/* To the end of a group that exits with 0 after so many restarts. Nobody waits for us: on a busy machine events are lost, and
 * their instances left to wait(2). */
__attribute__((unused)) static void follow_to_exit(int rfd, int64_t restarts)
{
	struct rfork_event event = { 0 };
	uint64_t seq = 0, lost = 0;

	while (event.type != RFORK_EV_END) {
		pid_t last = event.new_pid;

		EQUAL(rfork_next_event(rfd, &event), 1);
		CHECK(event.seq > seq);
		lost += event.seq - seq - 1;
		if (event.type == RFORK_EV_RESTART && last && event.seq == seq + 1)
			EQUAL(event.old_pid, last);
		seq = event.seq;
	}
	EQUAL(event.reason, RFORK_END_EXIT);
	EQUAL(event.status, 0);
	EQUAL(event.generation, restarts);
	while (waitpid(-1, NULL, __WALL) > 0)
		CHECK(lost--);
	EQUAL(errno, ECHILD);
}

/* This program with two arguments, the second of which may be NULL. The host cannot execute another CPU's program by itself. */
__attribute__((unused)) static _Noreturn void execute_itself(char *name, char *first, char *second)
{
	char *emulator = getenv("RFORK_TESTS_EMULATOR"), path[4096];
	char *emulated[] = { emulator, "-0", name, path, first, second, NULL };
	ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);

	CHECK(length > 0);
	path[length] = '\0';
	if (emulator)
		execvp(emulator, emulated);
	else
		execv("/proc/self/exe", (char *[]){ name, first, second, NULL });
	_exit(127);
}

__attribute__((unused)) static void pause_ms(long ms)
{
	struct timespec time = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&time, NULL);
}

__attribute__((unused)) static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Polls with a bound: the condition holds within that time (an emulated machine with every kernel check on
 * is slow) or the test fails. */
#define EVENTUALLY(condition) \
	do { \
		long end_ = now_ms() + patience_ms(); \
		int holds_; \
		while (!(holds_ = !!(condition)) && now_ms() < end_) \
			pause_ms(5); \
		if (!holds_) { \
			fprintf(stderr, "%s:%d: never: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno); \
			_exit(1); \
		} \
	} while (0)

__attribute__((unused)) static int count_descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* What whoever runs the tests has left open, a lock for instance. */
__attribute__((unused)) static void close_inherited(void)
{
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
}

__attribute__((unused)) static int no_such_process(pid_t pid)
{
	return kill(pid, 0) < 0 && errno == ESRCH;
}

/* No core files from instances that are meant to crash. A test may raise it again. */
__attribute__((unused, constructor)) static void no_core(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_CORE, &limit);
	limit.rlim_cur = 0;
	setrlimit(RLIMIT_CORE, &limit);
}

#endif
