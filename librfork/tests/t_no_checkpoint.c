/* SPDX-License-Identifier: MIT */
/* With RFORK_NO_CHECKPOINT no instance moves the restart point: the call fails with EPERM, and restarts go on from the image of
 * rfork_create(). */
#include "testing.h"

#define RESTARTS 3

int main(void)
{
	struct rfork_options options = { .flags = RFORK_NO_CHECKPOINT, .burst = RFORK_BURST_UNLIMITED };
	volatile int mark = 0;
	int rfd;
	pid_t pid = rfork_create(&options, &rfd);

	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(!mark);
		mark = 1;
		EQUAL(rfork_checkpoint(), -EPERM);
		if (rfork_generation() < RESTARTS)
			rfork_restart();
		_exit(0);
	}
	for (int i = 0; i < RESTARTS; i++)
		EQUAL(next_event(rfd, RFORK_EV_RESTART).flags & RFORK_WARM, 0);
	EQUAL(expect_end(rfd, RFORK_END_EXIT).status, 0);
	return 0;
}
