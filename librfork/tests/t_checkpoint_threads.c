/* SPDX-License-Identifier: MIT */
/* A checkpoint is refused with EBUSY while there is a second thread, works once that is
 * joined, and is refused with ESRCH outside a rebootable process. */
#include "testing.h"
#include <pthread.h>

static void *sleep_in_pipe(void *fd)
{
	char byte;

	return read(*(int *)fd, &byte, 1) == 0 ? NULL : fd;
}

static _Noreturn void instance(void)
{
	pthread_t thread;
	int ends[2];

	for (int i = 0; i < 50; i++) {
		CHECK(pipe(ends) == 0);
		CHECK(pthread_create(&thread, NULL, sleep_in_pipe, &ends[0]) == 0);
		if (i == 0 && can(RFORK_CAN_COUNT_THREADS))
			EQUAL(rfork_checkpoint(), -EBUSY);
		close(ends[1]);
		CHECK(pthread_join(thread, NULL) == 0);
		close(ends[0]);
		EQUAL(rfork_checkpoint(), 0);
	}
	_exit(0);
}

int main(void)
{
	int rfd;
	pid_t pid = rfork_create(NULL, &rfd);

	CHECK(pid >= 0);
	if (pid == 0)
		instance();
	EQUAL(rfork_checkpoint(), -ESRCH);
	EQUAL(rfork_generation(), -ESRCH);
	EQUAL(rfork_cause(), -ESRCH);
	for (int i = 0; i < 50; i++)
		next_event(rfd, RFORK_EV_CHECKPOINT);
	EQUAL(expect_end(rfd, RFORK_END_EXIT).status, 0);
	return 0;
}
