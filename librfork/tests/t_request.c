/* SPDX-License-Identifier: MIT */
/* An instance that asks for it is restarted, with its generation counted and the cause
 * told; one that exits with 0 is removed. */
#include "testing.h"

int main(void)
{
	struct rfork_options options = options_for_many();
	struct rfork_event event;
	int rfd = -1;
	pid_t pid = rfork_create(&options, &rfd), before = 0;

	CHECK(pid >= 0);
	if (pid == 0) {
		if (rfork_generation() == 3)
			_exit(0);
		if (rfork_generation() > 0 && rfork_cause() != RFORK_CAUSE_REQUEST)
			_exit(1);
		rfork_restart();
	}
	for (unsigned int i = 1; i <= 3; i++) {
		event = next_event(rfd, RFORK_EV_RESTART);
		EQUAL(event.seq, i);
		EQUAL(event.generation, i);
		EQUAL(event.cause, RFORK_CAUSE_REQUEST);
		EQUAL(event.flags & RFORK_WARM, 0);
		CHECK(WIFEXITED(event.status));
		EQUAL(WEXITSTATUS(event.status), RFORK_RESTART_STATUS);
		CHECK(!before || event.old_pid == before);
		CHECK(event.new_pid != event.old_pid);
		CHECK(event.start_ns >= event.fail_ns && event.fail_ns > 0);
		before = event.new_pid;
	}
	event = expect_end(rfd, RFORK_END_EXIT);
	EQUAL(event.cause, RFORK_CAUSE_EXIT);
	EQUAL(event.status, 0);
	EQUAL(event.old_pid, before);
	EQUAL(rfork_next_event(rfd, &event), 0);
	return 0;
}
