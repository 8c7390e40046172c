/* SPDX-License-Identifier: MIT */
/* At the user level: a signal sent to the PID that rfork() returned reaches the
 * instance, and wait(2) for it tells how the last instance ended. */
#include "testing.h"

int main(void)
{
	struct rfork_options options = { 0 };
	int status, *ready = shared(sizeof *ready);
	pid_t pid;

	if (rfork_backend() == RFORK_BACKEND_KERNEL)
		SKIP("rfork() returns the instance itself there");
	pid = rfork_create(&options, NULL);
	CHECK(pid >= 0);
	if (pid == 0) {
		*(volatile int *)ready = 1;
		for (;;)
			pause();
	}
	EVENTUALLY(*(volatile int *)ready);
	CHECK(kill(pid, SIGTERM) == 0);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status));
	EQUAL(WTERMSIG(status), SIGTERM);
	pid = rfork();
	CHECK(pid >= 0);
	if (pid == 0)
		_exit(rfork_generation() ? 9 : RFORK_RESTART_STATUS);
	CHECK(waitpid(pid, &status, 0) == pid);
	EQUAL(WEXITSTATUS(status), 9);
	return 0;
}
