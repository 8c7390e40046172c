/* SPDX-License-Identifier: MIT */
/* The parent gets the exit signal that it chose, or none, and can follow the group
 * all the same; with SIGCHLD ignored too. */
#include "testing.h"

static volatile sig_atomic_t caught[65];

static void note(int signal)
{
	caught[signal]++;
}

static void run_group(int exit_signal)
{
	struct rfork_options options = { .exit_signal = exit_signal };
	struct rfork_event event;
	int rfd, rc, restarts = 0;
	pid_t pid = rfork_create(&options, &rfd);

	CHECK(pid >= 0);
	if (pid == 0) {
		if (rfork_generation() < 2)
			rfork_restart();
		_exit(0);
	}
	while ((rc = rfork_next_event(rfd, &event)) != 0) {
		if (rc == -EINTR)
			continue;
		EQUAL(rc, 1);
		restarts += event.type == RFORK_EV_RESTART;
	}
	EQUAL(restarts, 2);
	close(rfd);
	EQUAL(waitpid(-1, NULL, __WALL), -1);
}

int main(void)
{
	signal(SIGCHLD, note);
	signal(SIGUSR1, note);
	run_group(SIGUSR1);
	CHECK(caught[SIGUSR1] > 0);
	EQUAL(caught[SIGCHLD], 0);
	caught[SIGUSR1] = 0;
	run_group(-1);
	EQUAL(caught[SIGUSR1], 0);
	EQUAL(caught[SIGCHLD], 0);
	signal(SIGCHLD, SIG_IGN);
	run_group(0);
	return 0;
}
