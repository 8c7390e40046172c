/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "bench.h"

const char *const cause_names[CAUSES] = { "exit", "segv", "kill" };
const char *const load_names[LOADS] = { "paced", "storm" };

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

_Noreturn void die(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(EXIT_SYSTEM);
}

/* Of a file without a name, so that a program executed later can map it too (memfd is of Linux 3.17). */
void *shared_memory(size_t size, int *fd)
{
	char name[] = "/tmp/koboshi-bench-XXXXXX";
	unsigned char *memory;

	*fd = mkstemp(name);
	if (*fd < 0 || unlink(name) < 0 || ftruncate(*fd, (off_t)size) < 0)
		die(name);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (memory == MAP_FAILED)
		die("mmap");
	memset(memory, 0, size);
	return memory;
}

void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof set, &set) < 0)
		die("sched_setaffinity");
}

unsigned int cpus(void)
{
	long count = sysconf(_SC_NPROCESSORS_ONLN);

	return count > 0 ? (unsigned int)count : 1;
}
