/* SPDX-License-Identifier: MIT */
/* The parent is the process: a group made by a thread that has ended since, or by a program that has executed another, lives
 * on, is restarted, and is followed through the descriptor. */
#include "testing.h"
#include <pthread.h>

static int rfd;

static void make_group(void)
{
	struct rfork_options options = options_for_many();
	pid_t pid = rfork_create(&options, &rfd);

	CHECK(pid >= 0);
	if (pid == 0)
		for (;;)
			pause();
}

static void *make_and_end(void *unused)
{
	make_group();
	return unused;
}

static void follow_and_stop(void)
{
	for (int i = 0; i < 3; i++) {
		struct rfork_info info;
		struct rfork_event event;

		EQUAL(rfork_query(rfd, &info), 0);
		CHECK(kill(info.pid, SIGSEGV) == 0);
		event = next_event(rfd, RFORK_EV_RESTART);
		EQUAL(event.old_pid, info.pid);
		EQUAL(event.cause, RFORK_CAUSE_ERROR);
	}
	stop_group(rfd);
	EQUAL(waitpid(-1, NULL, __WALL), -1);
	close(rfd);
}

int main(int argc, char **argv)
{
	pthread_t thread;
	char number[16];

	if (argc > 1) {
		rfd = atoi(argv[1]);
		follow_and_stop();
		return 0;
	}
	CHECK(pthread_create(&thread, NULL, make_and_end, NULL) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	follow_and_stop();
	make_group();
	CHECK(fcntl(rfd, F_SETFD, 0) == 0);
	snprintf(number, sizeof number, "%d", rfd);
	execute_itself(argv[0], number, NULL);
}
