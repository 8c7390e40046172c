/* SPDX-License-Identifier: MIT */
/*
 * The paper's measurement: a program calls rfork, prints the time, and exits with the restart value. What is
 * measured is the time from one line to the next, at both levels, in turns. One JSON object a level.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "bench.h"

#define ROUNDS 4
#define LEVELS 2

static const char *const level_names[LEVELS] = { "user", "kernel" };
static const enum rfork_backend backends[LEVELS] = { RFORK_BACKEND_USER, RFORK_BACKEND_KERNEL };

/* The program of the paper, except that it ends after a given number of restarts. */
static _Noreturn void print_time(int fd, unsigned int count)
{
	char line[32];
	int length = snprintf(line, sizeof line, "%llu\n", (unsigned long long)now_ns());

	if (write(fd, line, (size_t)length) != length)
		_exit(1);
	_exit(rfork_generation() < (int64_t)count ? RFORK_RESTART_STATUS : 0);
}

static void differences(int fd, struct samples *samples)
{
	unsigned long long time, before = 0;
	FILE *lines;

	lseek(fd, 0, SEEK_SET);
	lines = fdopen(fd, "r");
	if (!lines)
		die("fdopen");
	while (fscanf(lines, "%llu", &time) == 1) {
		if (before)
			samples_add(samples, time - before);
		before = time;
	}
	fclose(lines);
}

static void run_level(unsigned int level, unsigned int count, struct samples *samples)
{
	struct rfork_options options = { .burst = RFORK_BURST_UNLIMITED, .backend = backends[level] };
	struct rfork_event event;
	char name[] = "/tmp/koboshi-paper-XXXXXX";
	int fd = mkstemp(name), rfd = -1;
	pid_t pid;

	if (fd < 0 || unlink(name) < 0)
		die(name);
	pid = rfork_create(&options, &rfd);
	if (pid == 0)
		print_time(fd, count);
	errno = -pid;
	if (pid < 0)
		die("rfork_create");
	while (rfork_next_event(rfd, &event) == 1)
		;
	close(rfd);
	differences(fd, samples);
}

static bool have_kernel(void)
{
	return rfork_backend() == RFORK_BACKEND_KERNEL;
}

int main(int argc, char **argv)
{
	struct samples samples[LEVELS] = { { 0 } };
	unsigned int count = argc > 1 ? (unsigned int)atoi(argv[1]) : 1000;
	unsigned int levels = have_kernel() ? LEVELS : 1;

	if (argc > 2 || count < ROUNDS) {
		fprintf(stderr, "usage: paper [RESTARTS], at least %d\n", ROUNDS);
		return EXIT_USAGE;
	}
	for (unsigned int round = 0; round < ROUNDS; round++)
		for (unsigned int i = 0; i < levels; i++) {
			unsigned int level = round % 2 ? levels - 1 - i : i;

			run_level(level, count / ROUNDS, &samples[level]);
		}
	for (unsigned int level = 0; level < levels; level++) {
		printf("{\"bench\": \"paper\", \"level\": \"%s\", ", level_names[level]);
		samples_print(&samples[level], true);
		printf("}\n");
	}
	printf("{\"bench\": \"end\"}\n");
	return 0;
}
