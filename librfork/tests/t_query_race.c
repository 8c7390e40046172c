/* SPDX-License-Identifier: MIT */
/* Asked at any moment, parent and instance get one state of the group, not a mixture of two: generation, PID, cause, status
 * and times belong together, and what the parent is told never goes back. */
#include "testing.h"

#define RESTARTS 500

static volatile pid_t *pids;

static _Noreturn void instance(void)
{
	struct rfork_info own;

	CHECK(rfork_query(-1, &own) == 0);
	EQUAL(own.pid, getpid());
	CHECK(own.generation <= RESTARTS);
	pids[own.generation] = getpid();
	if (own.generation) {
		/* Odd generations end by a signal, even ones by request. */
		EQUAL(own.cause, own.generation % 2 ? RFORK_CAUSE_REQUEST : RFORK_CAUSE_ERROR);
		CHECK(own.start_ns >= own.fail_ns);
	}
	if (own.generation == RESTARTS)
		for (;;)
			pause();
	if (own.generation % 2)
		abort();
	rfork_restart();
}

static uint64_t check(int rfd, uint64_t last)
{
	struct rfork_info now;

	EQUAL(rfork_query(rfd, &now), 0);
	CHECK(now.generation >= last);
	EQUAL(now.reason, 0);
	if (now.pid && pids[now.generation])
		EQUAL(now.pid, pids[now.generation]);
	if (now.pid && now.generation) {
		EQUAL(now.cause, now.generation % 2 ? RFORK_CAUSE_REQUEST : RFORK_CAUSE_ERROR);
		EQUAL(WIFEXITED(now.status), now.generation % 2);
	}
	return now.generation;
}

int main(void)
{
	struct rfork_options options = options_for_many();
	uint64_t last = 0;
	int rfd, asked = 0;
	pid_t pid;

	pids = shared((RESTARTS + 1) * sizeof *pids);
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0)
		instance();
	for (; last < RESTARTS; asked++) {
		struct pollfd waiting = { .fd = rfd, .events = POLLIN };

		last = check(rfd, last);
		if (poll(&waiting, 1, 0) == 1)
			CHECK(next_event(rfd, RFORK_EV_RESTART).generation <= RESTARTS);
	}
	CHECK(asked > 10);
	EQUAL(rfork_stop(rfd, SIGKILL), 0);
	return 0;
}
