/* SPDX-License-Identifier: MIT */
/* Suspend freezes a machine with a group in it, and thaws it: the template does not keep it awake, and restarts as before. */
#include "system.h"

static int can_test_freezer(void)
{
	return write_text("/sys/power/pm_test", "freezer") == 0;
}

int main(void)
{
	struct rfork_options options = options_for_many();
	volatile int *quiet = shared(sizeof *quiet);
	int rfd;
	pid_t pid;

	need_machine("suspend");
	if (!can_test_freezer())
		SKIP("no /sys/power/pm_test: this kernel cannot try the freezer alone");
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0) {
		*quiet = (int)rfork_generation() + 1;
		for (;;)
			pause();
	}
	for (int i = 0; i < 2; i++) {
		EVENTUALLY(*quiet == i + 1);
		EQUAL(write_text("/sys/power/state", "mem"), 0);
		EQUAL(rfork_kick(rfd, 0, RFORK_CAUSE_OPERATOR), 0);
		next_event(rfd, RFORK_EV_RESTART);
	}
	CHECK(write_text("/sys/power/pm_test", "none") == 0);
	EQUAL(rfork_stop(rfd, SIGKILL), 0);
	expect_end(rfd, RFORK_END_STOP);
	return 0;
}
