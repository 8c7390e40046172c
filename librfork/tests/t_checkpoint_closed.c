/* SPDX-License-Identifier: MIT */
/* A program that closes every descriptor, as daemons do, is still restarted; at the
 * user level its checkpoint is refused, and nothing is written to what took the number. */
#include "testing.h"

int main(void)
{
	struct rfork_options options = options_for_many();
	int rfd, *word = shared(sizeof *word);
	pid_t pid = rfork_create(&options, &rfd);
	int user = rfork_backend() != RFORK_BACKEND_KERNEL;

	CHECK(pid >= 0);
	if (pid == 0) {
		for (int fd = 3; fd < 1024; fd++)
			close(fd);
		for (int fd = 3; fd < 260; fd++)
			CHECK(open("/dev/full", O_WRONLY) == fd);
		EQUAL(rfork_checkpoint() == -ESRCH, user && rfork_backend() != RFORK_BACKEND_KERNEL);
		if ((*word)++ < 2)
			abort();
		_exit(0);
	}
	if (!user)
		next_event(rfd, RFORK_EV_CHECKPOINT);
	next_event(rfd, RFORK_EV_RESTART);
	next_event(rfd, RFORK_EV_RESTART);
	EQUAL(expect_end(rfd, RFORK_END_EXIT).status, 0);
	return 0;
}
