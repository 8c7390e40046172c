/* SPDX-License-Identifier: MIT */
/* The ways to be restarted, each a function that runs one chunk: until an instance ends with status 0. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

int board_fd = -1;

void chunk_begin(struct board *b, const struct variant *v, unsigned int count, uint64_t pause_ns, uint64_t budget_ns)
{
	b->next = 0;
	b->last = count < BOARD_SLOTS ? count : BOARD_SLOTS - 1;
	b->busy = 0;
	b->cause = v->cause;
	b->load = v->load;
	b->pause_ns = pause_ns;
	b->deadline = now_ns() + budget_ns;
	b->owner = getpid();
}

/* Instance 0 did not follow a failure, so it has no latency. */
void chunk_end(const struct board *b, struct series *s)
{
	for (uint32_t i = 1; i < b->next; i++) {
		samples_add(&s->latency, b->at[i].start - b->at[i].fail);
		if (b->load == PACED && i < b->last && i + 1 < b->next)
			samples_add(&s->ready, b->at[i].ready - b->at[i].fail);
	}
	if (b->next > 1) {
		s->storm_ns += b->at[b->next - 1].start - b->at[0].start;
		s->storm_count += b->next - 1;
	}
	s->busy += b->busy;
}

static void count_restart(struct series *s, const struct rfork_event *event)
{
	if (event->type != RFORK_EV_RESTART)
		return;
	s->no_spare += !(event->flags & RFORK_SPARE);
}

/* As rfork-run does it: the owner sleeps until there is an event, and reaps. */
void run_group(const struct variant *v, struct board *b, const struct memory *m, struct series *s)
{
	struct rfork_options options = {
		.flags = RFORK_ON_SIGNAL, .burst = RFORK_BURST_UNLIMITED, .backend = v->backend,
	};
	struct rfork_event event;
	int rfd = -1, rc;
	pid_t pid = rfork_create(&options, &rfd);

	if (pid == 0)
		live(b, m, now_ns());
	errno = -pid;
	if (pid < 0)
		die("rfork_create");
	while ((rc = rfork_next_event(rfd, &event)) == 1)
		count_restart(s, &event);
	errno = -rc;
	if (rc < 0)
		die("rfork_next_event");
	close(rfd);
	while (waitpid(-1, NULL, WNOHANG | __WALL) > 0)
		;
}

static bool ended(pid_t pid)
{
	int status;

	if (pid < 0)
		die("fork");
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			die("waitpid");
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* waitpid, then fork from the process that holds the image. */
void run_naive(const struct variant *v, struct board *b, const struct memory *m, struct series *s)
{
	pid_t pid;

	(void)v;
	(void)s;
	do {
		pid = fork();
		if (pid == 0)
			live(b, m, now_ns());
	} while (!ended(pid));
}

/* waitpid, then vfork and exec of this very program, which is static and small. */
void run_exec(const struct variant *v, struct board *b, const struct memory *m, struct series *s)
{
	char number[16];
	pid_t pid;

	(void)v;
	(void)b;
	(void)m;
	(void)s;
	snprintf(number, sizeof number, "%d", board_fd);
	do {
		pid = vfork();
		if (pid == 0) {
			execl("/proc/self/exe", "latency", "--instance", number, (char *)NULL);
			_exit(127);
		}
	} while (!ended(pid));
}

/* In the program that run_exec() executed. */
_Noreturn void exec_instance(int fd, uint64_t first)
{
	struct memory memory = { NULL, 0 };
	struct board *board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (board == MAP_FAILED)
		die("mmap");
	live(board, &memory, first);
}
