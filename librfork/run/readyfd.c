/* SPDX-License-Identifier: MIT */
/* s6's way of being ready: a newline on a descriptor that was given. All instances have the same pipe, so each
 * begins with a mark that says which one it is; what follows a mark is of that one. */
#include "run.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define MARK_BEGIN '\1'
#define MARK_END '\2'
#define AT_ONCE 4096

/* Out of the way of the numbers that an instance gives its descriptors. */
int run_high_fd(int fd)
{
	int high = fcntl(fd, F_DUPFD, RUN_MAX_LISTEN + 16);

	if (high < 0)
		run_fail("fcntl", "");
	close(fd);
	fcntl(high, F_SETFD, FD_CLOEXEC);
	return high;
}

void run_ready_fd_open(struct run_config *config)
{
	config->ready_pipe[0] = config->ready_pipe[1] = -1;
	if (config->ready != READY_FD)
		return;
	if (pipe(config->ready_pipe) < 0)
		run_fail("pipe", "");
	for (int i = 0; i < 2; i++)
		config->ready_pipe[i] = run_high_fd(config->ready_pipe[i]);
	fcntl(config->ready_pipe[0], F_SETFL, O_NONBLOCK);
}

/* In an instance, first of all. */
void run_ready_fd_give(const struct run_config *config, uint64_t generation)
{
	char mark[24];
	int length;

	if (config->ready != READY_FD)
		return;
	length = snprintf(mark, sizeof mark, "%c%llu%c", MARK_BEGIN, (unsigned long long)generation, MARK_END);
	if (write(config->ready_pipe[1], mark, (size_t)length) != length)
		run_fail("write", "the descriptor of readiness");
	if (dup2(config->ready_pipe[1], config->ready_fd) < 0)
		run_fail("dup2", "the descriptor of readiness");
}

static void take(struct runner *r, char c)
{
	if (c == MARK_BEGIN) {
		r->in_mark = true;
		r->mark = 0;
	} else if (c == MARK_END) {
		r->in_mark = false;
	} else if (r->in_mark) {
		r->mark = r->mark * 10 + (uint64_t)(c - '0');
	} else if (c == '\n') {
		r->ready_mark = r->mark;
		r->ready_said = true;
	}
}

/* The component itself can write a mark into the pipe: one of an instance that has not begun is worth nothing. */
static bool is_forged(const struct runner *r, uint64_t mark)
{
	struct rfork_info info;

	return r->rfd < 0 || rfork_query(r->rfd, &info) < 0 || mark > r->origin.generation + info.generation;
}

/* Whether the instance that runs now has said it; an earlier one's word is dropped. With a later one's nothing more is read
 * until that one's restart has been: there may be several in the pipe. So many bytes at a time: the component may fill the
 * pipe without end. */
bool run_ready_fd_said(struct runner *r)
{
	char c;

	if (r->config->ready != READY_FD)
		return false;
	for (int i = 0; r->ready_said || (i < AT_ONCE && read(r->config->ready_pipe[0], &c, 1) == 1); i++) {
		if (!r->ready_said)
			take(r, c);
		if (!r->ready_said)
			continue;
		if (r->ready_mark > r->cold_generation && !is_forged(r, r->ready_mark))
			return false;
		r->ready_said = false;
		if (r->ready_mark == r->cold_generation)
			return true;
		r->mark = 0;	/* asked about once */
	}
	return false;
}
