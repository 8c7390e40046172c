/* SPDX-License-Identifier: MIT */
/* A crash in any thread restarts the process, with the one thread of the restart point. */
#include "testing.h"
#include <pthread.h>

static void *crash(void *unused)
{
	volatile int *nowhere = NULL;

	(void)unused;
	*nowhere = 1;
	return NULL;
}

int main(void)
{
	struct rfork_options options = options_for_many();
	int rfd;
	pid_t pid = rfork_create(&options, &rfd);

	CHECK(pid >= 0);
	if (pid == 0) {
		pthread_t thread;

		CHECK(rfork_checkpoint() >= 0);
		if (rfork_generation() == 20)
			_exit(0);
		CHECK(pthread_create(&thread, NULL, crash, NULL) == 0);
		pthread_join(thread, NULL);
		_exit(1);
	}
	next_event(rfd, RFORK_EV_CHECKPOINT);
	for (int i = 0; i < 20; i++)
		EQUAL(WTERMSIG(next_event(rfd, RFORK_EV_RESTART).status), SIGSEGV);
	EQUAL(expect_end(rfd, RFORK_END_EXIT).status, 0);
	return 0;
}
