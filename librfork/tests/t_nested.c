/* SPDX-License-Identifier: MIT */
/* An instance may have a group of its own, which is restarted by itself and goes with it. */
#include "testing.h"

static _Noreturn void outer(pid_t *inner)
{
	struct rfork_options options = options_for_many();
	int rfd;
	pid_t pid = rfork_create(&options, &rfd);

	CHECK(pid >= 0);
	if (pid == 0) {
		EQUAL(rfork_checkpoint() > 0, rfork_generation() > 0);
		if (rfork_generation() < 3)
			abort();
		*(volatile pid_t *)inner = getpid();
		for (;;)
			pause();
	}
	next_event(rfd, RFORK_EV_CHECKPOINT);
	for (int i = 0; i < 3; i++)
		next_event(rfd, RFORK_EV_RESTART);
	EVENTUALLY(*(volatile pid_t *)inner);
	if (rfork_generation() == 0)
		abort();
	_exit(0);
}

int main(void)
{
	struct rfork_options options = options_for_many();
	pid_t *inner = shared(2 * sizeof *inner);
	int rfd;
	pid_t pid = rfork_create(&options, &rfd);

	CHECK(pid >= 0);
	if (pid == 0)
		outer(&inner[rfork_generation()]);
	EQUAL(next_event(rfd, RFORK_EV_RESTART).cause, RFORK_CAUSE_ERROR);
	EQUAL(expect_end(rfd, RFORK_END_EXIT).status, 0);
	EVENTUALLY(no_such_process(inner[0]));
	EVENTUALLY(no_such_process(inner[1]));
	return 0;
}
