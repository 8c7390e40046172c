/* SPDX-License-Identifier: MIT */
/* The group's descriptor works with poll(2): readable while there is an event, and hung up once END has been read; it gives
 * several events at once, and is neither in the instance nor in what the parent executes. */
#include "testing.h"

#define RESTARTS 5

static short state(int rfd, int wait_ms)
{
	struct pollfd waiting = { .fd = rfd, .events = POLLIN };

	CHECK(poll(&waiting, 1, wait_ms) >= 0);
	return waiting.revents;
}

static _Noreturn void instance(volatile int *go, const volatile int *rfd)
{
	while (!*go)
		pause_ms(1);
	/* Whatever has the number here, it is not the group's. */
	CHECK(rfork_stop(*rfd, 0) == -EBADF || rfork_stop(*rfd, 0) == -EINVAL);
	while (rfork_generation() == 1 && *go < 2)
		pause_ms(1);
	if (rfork_generation() < RESTARTS)
		rfork_restart();
	*go = 3;
	_exit(0);
}

int main(void)
{
	struct rfork_options options = options_for_many();
	struct rfork_event events[2 * RESTARTS];
	int rfd, *word = shared(2 * sizeof *word);
	volatile int *go = word;
	ssize_t got;
	pid_t pid = rfork_create(&options, &rfd);

	CHECK(pid >= 0);
	if (pid == 0)
		instance(go, &word[1]);
	word[1] = rfd;
	EQUAL(fcntl(rfd, F_GETFD), FD_CLOEXEC);
	EQUAL(state(rfd, 0), 0);
	*go = 1;
	EQUAL(state(rfd, 60000), POLLIN); /* the second instance waits, so the group has not ended */
	*go = 2;
	EVENTUALLY(*go == 3);
	/* The last restart is told before its instance runs. */
	got = read(rfd, events, sizeof *events * RESTARTS);
	EQUAL(got, sizeof *events * RESTARTS);
	for (int i = 0; i < RESTARTS; i++)
		EQUAL(events[i].generation, i + 1);
	CHECK(state(rfd, 60000) & POLLIN);
	EQUAL(read(rfd, events, sizeof events), sizeof *events);
	EQUAL(events[0].type, RFORK_EV_END);
	CHECK(state(rfd, 60000) & POLLHUP);
	EQUAL(read(rfd, events, sizeof events), 0);
	return 0;
}
