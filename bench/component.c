/* SPDX-License-Identifier: MIT */
/*
 * The component that the peers restart: it lives for a while and crashes, HEALTHY times; after that it crashes as soon
 * as it runs. What it notes in a file on a tmpfs, `component report` prints as two JSON objects.
 *
 *   component run HEALTHY LIFE_MS LOOP [s6|systemd|rfork]
 *   component report PEER HEALTHY
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "bench.h"

#define BOARD "/run/bench.board"
#define S6_READY_FD 3

static struct board *open_board(void)
{
	int fd = open(BOARD, O_RDWR | O_CREAT, 0600);
	struct board *board;

	if (fd < 0 || ftruncate(fd, sizeof *board) < 0)
		die(BOARD);
	board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (board == MAP_FAILED)
		die("mmap");
	close(fd);
	return board;
}

static void notify_systemd(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	size_t length = path ? strlen(path) : 0;

	if (!length || length >= sizeof name.sun_path)
		return;
	memcpy(name.sun_path, path, length);
	if (*path == '@')
		name.sun_path[0] = '\0';
	sendto(fd, "READY=1", 7, MSG_NOSIGNAL, (struct sockaddr *)&name,
	       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
	close(fd);
}

static void tell_ready(const char *how)
{
	if (how && !strcmp(how, "s6") && write(S6_READY_FD, "\n", 1) == 1)
		close(S6_READY_FD);
	else if (how && !strcmp(how, "systemd"))
		notify_systemd();
}

static _Noreturn void run(char **argv, uint64_t first)
{
	volatile int *volatile nowhere = NULL;
	uint32_t healthy = (uint32_t)atoi(argv[2]), life_ms = (uint32_t)atoi(argv[3]), loop = (uint32_t)atoi(argv[4]);
	struct rlimit none = { 0, 0 };
	struct board *board = open_board();
	struct timespec life;
	uint32_t self;

	setrlimit(RLIMIT_CORE, &none);
	tell_ready(argv[5]);
	if (argv[5] && !strcmp(argv[5], "rfork") && rfork_checkpoint() > 0)
		first = now_ns();
	self = board->next++;
	board->at[self].start = first;
	if (self >= healthy + loop || self + 2 >= BOARD_SLOTS)
		for (;;)
			pause();
	life.tv_sec = self < healthy ? life_ms / 1000 : 0;
	life.tv_nsec = self < healthy ? life_ms % 1000 * 1000000L : 0;
	nanosleep(&life, NULL);
	board->at[self + 1].fail = 0;
	board->at[self + 1].fail = now_ns();
	*nowhere = 0;
	_exit(1);
}

static void print(const char *peer, const char *what, const struct board *board, uint32_t from, uint32_t to)
{
	struct samples samples = { 0 };

	for (uint32_t i = from; i < to && i < board->next; i++)
		samples_add(&samples, board->at[i].start - board->at[i].fail);
	printf("{\"bench\": \"peers\", \"peer\": \"%s\", \"case\": \"%s\", ", peer, what);
	samples_print(&samples, false);
	printf("}\n");
}

static int report(char **argv)
{
	uint32_t healthy = (uint32_t)atoi(argv[3]);
	struct board *board = open_board();

	print(argv[2], "healthy", board, 1, healthy + 1);
	print(argv[2], "loop", board, healthy + 1, BOARD_SLOTS);
	printf("{\"bench\": \"end\"}\nbench: status 0\n");
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t first = now_ns();

	if (argc >= 5 && !strcmp(argv[1], "run"))
		run(argv, first);
	if (argc == 4 && !strcmp(argv[1], "report"))
		return report(argv);
	fprintf(stderr, "usage: component run HEALTHY LIFE_MS LOOP [s6|systemd|rfork] | report PEER HEALTHY\n");
	return EXIT_USAGE;
}
