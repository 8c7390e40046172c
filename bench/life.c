/* SPDX-License-Identifier: MIT */
/* What an instance does, the same under every variant, and the memory that it has. */
#define _GNU_SOURCE
#include <string.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "bench.h"

#define PAGE 4096u
#define NO_HUGE_PAGES 15	/* madvise(2), Linux 2.6.38 */

/* Every page written once: resident, and this process's own. */
void memory_make(struct memory *memory, size_t size)
{
	memory->size = size;
	memory->bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory->bytes == MAP_FAILED)
		die("mmap");
	madvise(memory->bytes, size, NO_HUGE_PAGES);
	for (size_t i = 0; i < size; i += PAGE)
		memory->bytes[i] = (unsigned char)(i / PAGE + 1);
}

static void write_pages(const struct memory *memory, uint32_t count)
{
	size_t pages = memory->size / PAGE;

	for (uint32_t i = 0; i < count && i < pages; i++)
		memory->bytes[i * (pages / count ? pages / count : 1) * PAGE]++;
}

/* A name that only one process can hold, of this benchmark's `owner`: the socket, or -1 where somebody holds it. */
int hold_name(pid_t owner)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	int length = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "koboshi-bench-%d", (int)owner);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);

	if (fd < 0 || bind(fd, (struct sockaddr *)&name, size) == 0)
		return fd;
	close(fd);
	return -1;
}

/* What takes its time to close. */
static void hold_descriptors(uint32_t count)
{
	int ends[2];

	for (; count >= 2; count -= 2)
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
			die("socketpair");
}

static void sleep_for(uint64_t ns)
{
	struct timespec pause = { .tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u) };

	nanosleep(&pause, NULL);
}

/* The time stamp's page has been written just before, so that stamping it costs no fault. */
static _Noreturn void fail(enum cause cause, volatile uint64_t *stamp)
{
	volatile int *volatile nowhere = NULL, *target = nowhere;
	pid_t self = getpid();

	*stamp = 0;
	switch (cause) {
	case BY_SEGV:
		*stamp = now_ns();
		*target = 0;
		break;
	case BY_KILL:
		*stamp = now_ns();
		kill(self, SIGKILL);
		break;
	default:
		*stamp = now_ns();
	}
	_exit(RFORK_RESTART_STATUS);
}

_Noreturn void live(struct board *board, const struct memory *memory, uint64_t first)
{
	uint32_t self = board->next++;

	board->at[self].start = first;
	if (self == board->last || first > board->deadline)
		_exit(0);
	board->busy += hold_name(board->owner) < 0;
	if (board->load == PACED) {
		hold_descriptors(board->descriptors);
		write_pages(memory, board->pages);
		board->at[self].ready = now_ns();
		sleep_for(board->pause_ns);
	}
	fail(board->cause, &board->at[self + 1].fail);
}
