/* SPDX-License-Identifier: MIT */
/* A checkpoint works in a program that the instance has executed, and the instance's
 * own children are not taken for it. */
#include "testing.h"

static _Noreturn void program(void)
{
	int64_t generation;
	int status;
	pid_t child;

	CHECK(rfork_generation() >= 0);
	generation = rfork_checkpoint();
	CHECK(generation >= 0);
	child = fork();
	CHECK(child >= 0);
	if (child == 0)
		_exit(rfork_checkpoint() == -ESRCH && rfork_generation() == -ESRCH ? 0 : 1);
	CHECK(waitpid(child, &status, 0) == child);
	EQUAL(status, 0);
	if (generation < 4)
		abort();
	_exit(0);
}

int main(int argc, char **argv)
{
	struct rfork_options options = options_for_many();
	int rfd;
	pid_t pid;

	if (argc > 1)
		program();
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0) {
		execute_itself(argv[0], "program", NULL);
	}
	next_event(rfd, RFORK_EV_CHECKPOINT);
	for (int i = 1; i <= 4; i++)
		EQUAL(next_event(rfd, RFORK_EV_RESTART).flags & RFORK_WARM, RFORK_WARM);
	EQUAL(expect_end(rfd, RFORK_END_EXIT).status, 0);
	return 0;
}
