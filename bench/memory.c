/* SPDX-License-Identifier: MIT */
/*
 * What a group costs in memory: of all that the machine has free, how much less there is once the group has been made (its
 * instance, template and spare), and when the instance has written so many of its pages. One JSON object a case.
 *
 *   memory [MB,MB...]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "bench.h"

#define PAGE 4096u
#define SOME_PAGES 64u
#define SETTLE_MS 200	/* longer than anything is put off */

struct talk {			/* shared with the instance */
	volatile uint32_t wanted, written;	/* pages */
};

static void pause_ms(long ms)
{
	struct timespec time = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&time, NULL);
}

static long long free_now(void)
{
	struct sysinfo machine;

	if (sysinfo(&machine) < 0)
		die("sysinfo");
	return (long long)machine.freeram * machine.mem_unit;
}

/* Once nothing is made or freed any more. */
static long long free_bytes(void)
{
	long long before, now = free_now();

	do {
		before = now;
		pause_ms(SETTLE_MS);
		now = free_now();
	} while (now != before);
	return now;
}

static _Noreturn void instance(struct talk *talk, const struct memory *memory)
{
	for (;;) {
		uint32_t wanted = talk->wanted;

		for (uint32_t i = talk->written; i < wanted; i++)
			memory->bytes[(size_t)i * PAGE]++;
		talk->written = wanted;
		pause_ms(1);
	}
}

static void have_written(struct talk *talk, uint32_t pages)
{
	talk->wanted = pages;
	while (talk->written != pages)
		pause_ms(1);
}

static void measure(unsigned int megabytes, enum rfork_backend backend, uint64_t flags)
{
	struct rfork_options options = { .flags = flags, .backend = backend };
	struct rfork_event event;
	struct memory memory;
	struct talk *talk;
	long long before, made, some;
	int fd, rfd = -1;
	pid_t pid;

	memory_make(&memory, (size_t)megabytes * MEGABYTE);
	talk = shared_memory(sizeof *talk, &fd);
	before = free_bytes();
	pid = rfork_create(&options, &rfd);
	if (pid == 0)
		instance(talk, &memory);
	errno = -pid;
	if (pid < 0)
		die("rfork_create");
	made = before - free_bytes();
	have_written(talk, SOME_PAGES);
	some = before - free_bytes();
	have_written(talk, (uint32_t)(memory.size / PAGE));
	printf("{\"bench\": \"memory\", \"variant\": \"%s\", \"spare\": %s, \"mb\": %u, \"made\": %lld, \"pages\": %u, \"some\": %lld, "
	       "\"all\": %lld}\n",
	       backend == RFORK_BACKEND_USER ? "user" : "kernel", flags & RFORK_NO_SPARE ? "false" : "true", megabytes, made,
	       SOME_PAGES, some, before - free_bytes());
	fflush(stdout);
	rfork_stop(rfd, SIGKILL);
	while (rfork_next_event(rfd, &event) == 1)
		;
}

/* In a process of its own, so that the next case begins with nothing. */
static void measure_apart(unsigned int megabytes, enum rfork_backend backend, uint64_t flags)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0) {
		measure(megabytes, backend, flags);
		exit(0);
	}
	if (waitpid(pid, &status, 0) < 0 || status)
		exit(EXIT_SYSTEM);
}

int main(int argc, char **argv)
{
	static char usual[] = "1,64,256";
	char *list = argc > 1 ? argv[1] : usual;
	bool kernel = rfork_backend() == RFORK_BACKEND_KERNEL;

	for (char *part; (part = strsep(&list, ","));) {
		unsigned int megabytes = (unsigned int)atoi(part);

		if (argc > 2 || !megabytes) {
			fprintf(stderr, "usage: memory [MB,MB...]\n");
			return EXIT_USAGE;
		}
		for (int level = 0; level < 1 + kernel; level++) {
			enum rfork_backend backend = level ? RFORK_BACKEND_KERNEL : RFORK_BACKEND_USER;

			measure_apart(megabytes, backend, 0);
			measure_apart(megabytes, backend, RFORK_NO_SPARE);
		}
	}
	printf("{\"bench\": \"end\"}\n");
	return 0;
}
