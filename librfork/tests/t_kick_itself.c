/* SPDX-License-Identifier: MIT */
/* An instance that orders its own restart, as an operator would, does not lift its own restart intensity. */
#include "testing.h"

#define BURST 3
#define TOO_MANY 50

int main(void)
{
	struct rfork_options options = { .burst = BURST, .window_ms = 3600000 };
	struct rfork_ctl order = { .rfd = -1, .cause = RFORK_CAUSE_OPERATOR };
	volatile int *runs = shared(sizeof *runs);
	int rfd;
	pid_t pid;

	if (rfork_backend() != RFORK_BACKEND_KERNEL)
		SKIP("at the user level an instance cannot give such an order");
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0) {
		if (++*runs == TOO_MANY)
			_exit(0);
		syscall(__NR_rfork, RFORK_RESTART, &order, sizeof order);
		for (;;)
			pause();
	}
	for (int i = 0; i < BURST; i++)
		next_event(rfd, RFORK_EV_RESTART);
	expect_end(rfd, RFORK_END_BURST);
	EQUAL(*runs, BURST + 1);
	return 0;
}
