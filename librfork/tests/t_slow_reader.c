/* SPDX-License-Identifier: MIT */
/* A reader that comes late loses the oldest events only as gaps in seq; the order, the
 * generations and END are right, and nobody waits for it. */
#include "testing.h"

#define RESTARTS 300

int main(void)
{
	struct rfork_options options = options_for_many();
	uint64_t seq = 0, generation = 0;
	struct rfork_event event;
	int rfd, rc, *done = shared(sizeof *done);
	pid_t pid = rfork_create(&options, &rfd);

	CHECK(pid >= 0);
	if (pid == 0) {
		if (rfork_generation() < RESTARTS)
			rfork_restart();
		*(volatile int *)done = 1;
		_exit(0);
	}
	EVENTUALLY(*(volatile int *)done);
	do {
		rc = rfork_next_event(rfd, &event);
		EQUAL(rc, 1);
		CHECK(event.seq > seq);
		CHECK(event.generation >= generation);
		seq = event.seq;
		generation = event.generation;
	} while (event.type != RFORK_EV_END);
	EQUAL(seq, RESTARTS + 1);
	EQUAL(generation, RESTARTS);
	EQUAL(rfork_next_event(rfd, &event), 0);
	return 0;
}
