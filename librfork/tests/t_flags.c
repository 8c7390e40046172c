/* SPDX-License-Identifier: MIT */
/* Other fatal signals and non-zero statuses end the group, and restart it with
 * RFORK_ON_SIGNAL and RFORK_ON_STATUS. */
#include "testing.h"

static struct rfork_event first_event(uint64_t flags, int signal, int status)
{
	struct rfork_options options = { .flags = flags, .burst = RFORK_BURST_UNLIMITED };
	struct rfork_event event;
	int rfd;
	pid_t pid = rfork_create(&options, &rfd);

	CHECK(pid >= 0);
	if (pid == 0) {
		if (rfork_generation() > 0)
			_exit(0);
		if (signal)
			kill(getpid(), signal);
		_exit(status);
	}
	EQUAL(rfork_next_event(rfd, &event), 1);
	if (event.type == RFORK_EV_RESTART)
		expect_end(rfd, RFORK_END_EXIT);
	close(rfd);
	return event;
}

static void expect(struct rfork_event event, unsigned int type, unsigned int cause)
{
	EQUAL(event.type, type);
	EQUAL(event.cause, cause);
	EQUAL(event.reason, type == RFORK_EV_END ? RFORK_END_EXIT : 0);
}

int main(void)
{
	expect(first_event(0, SIGTERM, 0), RFORK_EV_END, RFORK_CAUSE_SIGNAL);
	expect(first_event(0, SIGKILL, 0), RFORK_EV_END, RFORK_CAUSE_SIGNAL);
	expect(first_event(RFORK_ON_STATUS, SIGTERM, 0), RFORK_EV_END, RFORK_CAUSE_SIGNAL);
	expect(first_event(RFORK_ON_SIGNAL, SIGTERM, 0), RFORK_EV_RESTART, RFORK_CAUSE_SIGNAL);
	expect(first_event(RFORK_ON_SIGNAL, SIGKILL, 0), RFORK_EV_RESTART, RFORK_CAUSE_SIGNAL);
	expect(first_event(0, 0, 3), RFORK_EV_END, RFORK_CAUSE_STATUS);
	expect(first_event(RFORK_ON_SIGNAL, 0, 3), RFORK_EV_END, RFORK_CAUSE_STATUS);
	expect(first_event(RFORK_ON_STATUS, 0, 3), RFORK_EV_RESTART, RFORK_CAUSE_STATUS);
	expect(first_event(RFORK_ON_STATUS | RFORK_ON_SIGNAL, 0, 0), RFORK_EV_END, RFORK_CAUSE_EXIT);
	return 0;
}
