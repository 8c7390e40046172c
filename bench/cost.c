/* SPDX-License-Identifier: MIT */
/*
 * What processes cost that have nothing to do with rfork: fork, exit and wait; execve; a thread made and joined. Times
 * of CLOCK_MONOTONIC: with -icount they are instructions, and the same in each run but for the timer's interrupts.
 *
 *   cost [ROUNDS [COUNT]]
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

#define WARM_UP 20
#define SELF "/proc/self/exe"

static void forks(long count)
{
	while (count-- > 0) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			die("fork");
	}
}

/* A process executes itself again and again, and counts down. */
static _Noreturn void exec_again(long left)
{
	char number[24];

	if (left <= 0)
		_exit(0);
	snprintf(number, sizeof number, "%ld", left - 1);
	execl(SELF, "cost", "exec", number, (char *)NULL);
	die("exec");
}

static void execs(long count)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		exec_again(count);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		die("exec");
}

static void *nothing(void *argument)
{
	return argument;
}

static void threads(long count)
{
	pthread_t thread;

	while (count-- > 0)
		if (pthread_create(&thread, NULL, nothing, NULL) || pthread_join(thread, NULL))
			die("thread");
}

static void measure(const char *what, void (*body)(long), long count)
{
	uint64_t begin = now_ns();

	body(count);
	printf("{\"bench\": \"cost\", \"what\": \"%s\", \"n\": %ld, \"each\": %.1f}\n", what, count,
	       (double)(now_ns() - begin) / (double)count);
	fflush(stdout);
}

static long number(int count, char **arguments, int which, long fallback)
{
	char *end = NULL;
	long value = count > which ? strtol(arguments[which], &end, 10) : fallback;

	if ((end && *end) || value < 0 || (which == 2 && value == 0)) {
		fprintf(stderr, "usage: cost [ROUNDS [COUNT]]\n");
		exit(EXIT_USAGE);
	}
	return value;
}

int main(int argc, char **argv)
{
	long rounds, count;

	if (argc == 3 && !strcmp(argv[1], "exec"))
		exec_again(strtol(argv[2], NULL, 10));
	rounds = number(argc, argv, 1, 5);
	count = number(argc, argv, 2, 200);
	forks(WARM_UP);
	execs(WARM_UP);
	threads(WARM_UP);
	while (rounds-- > 0) {
		measure("fork+exit+wait", forks, count);
		measure("execve", execs, count);
		measure("thread", threads, count);
	}
	printf("{\"bench\": \"end\"}\n");
	return 0;
}
