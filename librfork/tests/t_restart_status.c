/* SPDX-License-Identifier: MIT */
/* The status that asks for a restart can be chosen, and rfork_restart() knows it. */
#include "testing.h"

int main(void)
{
	struct rfork_options options = { .restart_status = 7 };
	struct rfork_event event;
	int rfd;
	pid_t pid = rfork_create(&options, &rfd);

	CHECK(pid >= 0);
	if (pid == 0) {
		if (rfork_generation() == 0)
			rfork_restart();
		_exit(rfork_generation() == 1 ? 7 : RFORK_RESTART_STATUS);
	}
	for (int i = 0; i < 2; i++) {
		event = next_event(rfd, RFORK_EV_RESTART);
		EQUAL(event.cause, RFORK_CAUSE_REQUEST);
		EQUAL(WEXITSTATUS(event.status), 7);
	}
	EQUAL(expect_end(rfd, RFORK_END_EXIT).cause, RFORK_CAUSE_STATUS);
	return 0;
}
