/* SPDX-License-Identifier: MIT */
/* A signal to the whole process group ends the instance, and not the next one, however long that one had been kept ahead. */
#include "testing.h"

#define ROUNDS 5

static _Noreturn void instance(volatile int *pending)
{
	sigset_t set;

	CHECK(sigpending(&set) == 0);
	*pending += sigismember(&set, SIGTERM);
	for (;;)
		pause();
}

int main(void)
{
	struct rfork_options options = { .flags = RFORK_ON_SIGNAL, .burst = RFORK_BURST_UNLIMITED };
	volatile int *pending = shared(sizeof *pending);
	struct rfork_info info;
	int rfd;
	pid_t pid;

	CHECK(setsid() >= 0 || getpgrp() == getpid());
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0)
		instance(pending);
	CHECK(signal(SIGTERM, SIG_IGN) != SIG_ERR);	/* the test's own */
	for (int i = 0; i < ROUNDS; i++) {
		struct rfork_event event;

		pause_ms(10 * i);	/* with a copy ahead, and without */
		CHECK(kill(0, SIGTERM) == 0);
		event = next_event(rfd, RFORK_EV_RESTART);
		EQUAL(event.generation, i + 1);
		EQUAL(event.cause, RFORK_CAUSE_SIGNAL);
	}
	pause_ms(20);
	EQUAL(rfork_query(rfd, &info), 0);
	EQUAL(info.generation, ROUNDS);
	EQUAL(*pending, 0);
	EQUAL(rfork_stop(rfd, SIGKILL), 0);
	expect_end(rfd, RFORK_END_STOP);
	return 0;
}
