/* SPDX-License-Identifier: MIT */
/* Suspend freezes a machine with a group in it, and thaws it: the template does not keep it awake, and restarts as before. */
#include "system.h"

#define DELAY "/sys/module/suspend/parameters/pm_test_delay" /* seconds; five, and fixed on 2.6.23 */

/* Freeze everybody, wait some seconds, thaw: a test of suspend since 2.6.25, and one of hibernation before. */
struct freezer_test {
	const char *file, *on, *off, *state;
};

static const struct freezer_test *find_test(void)
{
	static const struct freezer_test tests[] = {
		{ "/sys/power/pm_test", "freezer", "none", "mem" },
		{ "/sys/power/disk", "testproc", "shutdown", "disk" },
	};

	for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
		if (write_text(tests[i].file, tests[i].on) == 0)
			return &tests[i];
	SKIP("neither /sys/power/pm_test nor testproc in /sys/power/disk: this kernel cannot try the freezer alone");
}

int main(void)
{
	struct rfork_options options = options_for_many();
	volatile int *quiet = shared(sizeof *quiet);
	const struct freezer_test *test;
	int rfd;
	pid_t pid;

	need_machine("suspend");
	if (access(DELAY, W_OK) == 0)
		EQUAL(write_text(DELAY, "1"), 0);
	test = find_test();
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0) {
		*quiet = (int)rfork_generation() + 1;
		for (;;)
			pause();
	}
	for (int i = 0; i < 2; i++) {
		EVENTUALLY(*quiet == i + 1);
		EQUAL(write_text("/sys/power/state", test->state), 0);
		EQUAL(rfork_kick(rfd, 0, RFORK_CAUSE_OPERATOR), 0);
		next_event(rfd, RFORK_EV_RESTART);
	}
	EQUAL(write_text(test->file, test->off), 0);
	stop_group(rfd);
	return 0;
}
