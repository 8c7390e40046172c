/* SPDX-License-Identifier: MIT */
/* Counters and findings in shared memory: only PID 1 prints, so that no line breaks up another. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harden.h"

struct shared *shared;

/* Anybody may map it: instances change their user. */
void share(int create)
{
	int fd = open(SHARED_FILE, O_RDWR | (create ? O_CREAT : 0), 0666);

	if (fd < 0 || (create && (fchmod(fd, 0666) < 0 || ftruncate(fd, sizeof *shared) < 0)))
		_exit(111);
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED)
		_exit(111);
	close(fd);
}

void finding(const char *format, ...)
{
	unsigned int number = atomic_fetch_add(&shared->findings, 1);
	va_list list;

	if (number >= FINDINGS_KEPT)
		return;
	va_start(list, format);
	vsnprintf(shared->finding[number].text, sizeof shared->finding[number].text, format, list);
	va_end(list);
	atomic_store(&shared->finding[number].ready, 1);
}

void print_findings(void)
{
	unsigned int number;

	while ((number = shared->printed) < FINDINGS_KEPT && atomic_load(&shared->finding[number].ready)) {
		printf("harden: finding: %s (round %llu)\n", shared->finding[number].text, shared->rounds);
		shared->printed++;
	}
	fflush(stdout);
}

void print_counts(const char *what)
{
	print_findings();
	printf("harden: %s calls=%llu groups=%llu faults=%llu findings=%u rounds=%llu\n", what, shared->calls,
	       shared->groups, shared->faults, shared->findings, shared->rounds);
	fflush(stdout);
}

void fail(const char *what)
{
	printf("harden: error: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	sync();
	reboot(RB_AUTOBOOT);
	_exit(111);
}
