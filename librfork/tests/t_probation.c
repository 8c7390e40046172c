/* SPDX-License-Identifier: MIT */
/* A restart from a checkpoint that crashes within its probation ends the group as
 * poisoned; a request within it does not, nor does a crash before any warm restart. */
#include "testing.h"

int main(void)
{
	struct rfork_options options = { .burst = RFORK_BURST_UNLIMITED, .probation_ms = 3600000 };
	struct rfork_event event;
	int rfd;
	pid_t pid = rfork_create(&options, &rfd);

	CHECK(pid >= 0);
	if (pid == 0) {
		if (rfork_generation() < 2)
			abort();
		if (rfork_checkpoint() < 5)
			rfork_restart();
		abort();
	}
	for (int i = 1; i <= 5; i++) {
		if (i == 3)
			next_event(rfd, RFORK_EV_CHECKPOINT);
		event = next_event(rfd, RFORK_EV_RESTART);
		EQUAL(event.flags & RFORK_WARM, i < 3 ? 0 : RFORK_WARM);
	}
	event = expect_end(rfd, RFORK_END_POISONED);
	EQUAL(event.cause, RFORK_CAUSE_ERROR);
	EQUAL(WTERMSIG(event.status), SIGABRT);
	return 0;
}
