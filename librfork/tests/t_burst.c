/* SPDX-License-Identifier: MIT */
/* More restarts than the burst within its window end the group; an operator's do not
 * count. */
#include "testing.h"

int main(void)
{
	struct rfork_options options = { .burst = 3, .window_ms = 3600000 };
	int rfd;
	volatile int *crash = shared(2 * sizeof *crash), *quiet = crash + 1;
	pid_t pid = rfork_create(&options, &rfd);

	CHECK(pid >= 0);
	if (pid == 0) {
		if (*crash)
			abort();
		*quiet = (int)rfork_generation();
		for (;;)
			pause();
	}
	for (int i = 0; i < 10; i++) {
		EQUAL(rfork_kick(rfd, 0, RFORK_CAUSE_OPERATOR), 0);
		EQUAL(next_event(rfd, RFORK_EV_RESTART).cause, RFORK_CAUSE_OPERATOR);
	}
	EVENTUALLY(*quiet == 10);
	*crash = 1;
	EQUAL(rfork_kick(rfd, SIGKILL, RFORK_CAUSE_HEARTBEAT), 0);
	EQUAL(next_event(rfd, RFORK_EV_RESTART).cause, RFORK_CAUSE_HEARTBEAT);
	for (int i = 0; i < 2; i++)
		EQUAL(next_event(rfd, RFORK_EV_RESTART).cause, RFORK_CAUSE_ERROR);
	EQUAL(expect_end(rfd, RFORK_END_BURST).cause, RFORK_CAUSE_ERROR);
	return 0;
}
