/* SPDX-License-Identifier: MIT */
/* SIGCHLD stays the program's own: the instance waits for its own children by its own
 * handler, and the parent gets the exit signal at each end of an instance. */
#include "testing.h"

static volatile sig_atomic_t caught;

static void on_chld(int signal)
{
	(void)signal;
	caught++;
}

static _Noreturn void instance(void)
{
	sigset_t chld, before;
	int status;
	pid_t child;

	EQUAL(caught, 0);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	CHECK(sigprocmask(SIG_BLOCK, &chld, &before) == 0);
	child = fork();
	CHECK(child >= 0);
	if (child == 0)
		_exit(5);
	while (!caught)
		sigsuspend(&before);
	CHECK(waitpid(-1, &status, 0) == child);
	EQUAL(WEXITSTATUS(status), 5);
	EQUAL(waitpid(-1, &status, 0), -1);
	if (rfork_generation() < 3)
		abort();
	_exit(0);
}

int main(void)
{
	struct rfork_options options = options_for_many();
	int rfd;
	pid_t pid;

	signal(SIGCHLD, on_chld);
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0)
		instance();
	for (int i = 0; i < 3; i++) {
		struct rfork_event event;
		int rc;

		do
			rc = rfork_next_event(rfd, &event);
		while (rc == -EINTR);
		EQUAL(rc, 1);
		EQUAL(event.type, RFORK_EV_RESTART);
		EVENTUALLY(caught > 0);
	}
	for (;;) {
		struct rfork_event event;
		int rc = rfork_next_event(rfd, &event);

		if (rc == -EINTR)
			continue;
		EQUAL(rc, 1);
		EQUAL(event.type, RFORK_EV_END);
		EQUAL(event.status, 0);
		break;
	}
	return 0;
}
