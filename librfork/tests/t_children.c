/* SPDX-License-Identifier: MIT */
/* Children that an instance makes with fork(2) are not of its group: they live on as orphans when it is restarted, their own
 * end or crash restarts nothing, and no later instance has to wait for them. */
#include "system.h"

static volatile pid_t *orphan, *before;

static _Noreturn void instance(void)
{
	pid_t child;
	int status;

	EQUAL(waitpid(-1, NULL, 0), -1);
	EQUAL(errno, ECHILD);
	if (rfork_generation() == 1) {
		EQUAL(kill(*orphan, 0), 0);
		EVENTUALLY(status_number(*orphan, "PPid") != *before);
		CHECK(kill(*orphan, SIGKILL) == 0);
		_exit(0);
	}
	child = fork();
	CHECK(child >= 0);
	if (child == 0)
		abort();
	CHECK(waitpid(child, &status, 0) == child);
	EQUAL(WTERMSIG(status), SIGABRT);
	*before = getpid();
	child = fork();
	CHECK(child >= 0);
	if (child == 0)
		for (;;)
			pause();
	*orphan = child;
	abort();
}

int main(void)
{
	struct rfork_options options = options_for_many();
	pid_t *word = shared(2 * sizeof *word);
	int rfd;
	pid_t pid;

	orphan = &word[0];
	before = &word[1];
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0)
		instance();
	next_event(rfd, RFORK_EV_RESTART);
	EQUAL(expect_end(rfd, RFORK_END_EXIT).status, 0);
	return 0;
}
