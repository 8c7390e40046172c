/* SPDX-License-Identifier: MIT */
/* kill(-1) of a user does not reach the template: the instance gets the signal once, and the one that follows none of it. With
 * SIGKILL that is the end of the group, although it restarts on signals. */
#include "system.h"

#define ROUNDS 20

static volatile pid_t *ready;

static int start(pid_t *first)
{
	struct rfork_options options = { .flags = RFORK_ON_SIGNAL | NO_SPARE, .burst = RFORK_BURST_UNLIMITED };
	int rfd;
	pid_t pid;

	*ready = 0;
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0) {
		*ready = getpid();
		for (;;)
			pause();
	}
	EVENTUALLY(*ready);
	*first = *ready;
	return rfd;
}

/* The caller is not signalled, which is why it may be the parent itself. */
static void kill_all(int signo)
{
	CHECK(kill(-1, signo) == 0);
}

static void restarted_by_others(void)
{
	pid_t last;
	int rfd = start(&last);

	for (int i = 0; i < ROUNDS; i++) {
		struct rfork_event event;

		kill_all(i % 2 ? SIGTERM : SIGSEGV);
		event = next_event(rfd, RFORK_EV_RESTART);
		EQUAL(event.old_pid, last);
		EVENTUALLY(*ready == event.new_pid);
		last = event.new_pid;
	}
	stop_group(rfd);
}

static void ended_by_sigkill(void)
{
	pid_t last;
	int rfd = start(&last);

	kill_all(SIGKILL);
	EQUAL(expect_end(rfd, RFORK_END_STOP).old_pid, last);
	CHECK(no_such_process(last));
}

static void as_user(void)
{
	become_user(own_user());
	restarted_by_others();
	ended_by_sigkill();
}

int main(void)
{
	need_root("a user of its own");
	if (!is_kernel_level())
		SKIP("the monitor is a process like others, and kill(-1) reaches it");
	ready = shared(sizeof *ready);
	apart(as_user);
	return 0;
}
