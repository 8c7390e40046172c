/* SPDX-License-Identifier: MIT */
/* LISTEN_PID names each instance that begins at a checkpoint, if it named the process that made the checkpoint; another process's
 * stays. */
#include "testing.h"
#include <stdbool.h>

static void set_to(pid_t pid)
{
	char text[16];

	snprintf(text, sizeof text, "%d", (int)pid);
	CHECK(setenv("LISTEN_PID", text, 1) == 0);
}

static void try_with(bool own)
{
	int64_t generation;
	pid_t wanted;

	set_to(own ? getpid() : getppid());
	wanted = getppid();
	generation = rfork_checkpoint();
	CHECK(generation >= 0);
	EQUAL(atol(getenv("LISTEN_PID")), own ? getpid() : wanted);
	if (rfork_generation() < (own ? 2 : 4))
		rfork_restart();
}

static void instance(void)
{
	try_with(true);
	try_with(false);
	unsetenv("LISTEN_PID");
	CHECK(rfork_checkpoint() >= 0);
	CHECK(!getenv("LISTEN_PID"));
	_exit(0);
}

int main(void)
{
	struct rfork_options options = options_for_many();
	struct rfork_event event;
	int rfd, restarts = 0;
	pid_t pid;

	close_inherited();
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0)
		instance();
	do {
		struct pollfd waiting = { .fd = rfd, .events = POLLIN };

		EQUAL(poll(&waiting, 1, (int)patience_ms()), 1);
		EQUAL(rfork_next_event(rfd, &event), 1);
		restarts += event.type == RFORK_EV_RESTART;
	} while (event.type != RFORK_EV_END);
	EQUAL(event.status, 0);
	EQUAL(restarts, 4);
	return 0;
}
