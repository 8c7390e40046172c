/* SPDX-License-Identifier: MIT */
/* An instance that executes a program is restarted through the same exec, with the same arguments, environment and
 * descriptors; the program is still the group's instance. */
#include "testing.h"

#define RESTARTS 20

static _Noreturn void program(int argc, char **argv)
{
	const char *value = getenv("RFORK_TEST_VALUE");

	EQUAL(argc, 3);
	CHECK(!strcmp(argv[2], "argument"));
	CHECK(value && !strcmp(value, "environment"));
	CHECK(fcntl(atoi(argv[1]), F_GETFD) == 0);
	CHECK(rfork_generation() >= 0);
	if (rfork_generation() == RESTARTS)
		_exit(0);
	if (rfork_generation() % 2)
		rfork_restart();
	abort();
}

int main(int argc, char **argv)
{
	struct rfork_options options = options_for_many();
	int rfd, file = open("/dev/null", O_RDONLY);
	char number[16];
	pid_t pid;

	if (argc > 1)
		program(argc, argv);
	snprintf(number, sizeof number, "%d", file);
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(setenv("RFORK_TEST_VALUE", "environment", 1) == 0);
		execute_itself(argv[0], number, "argument");
	}
	for (int i = 0; i < RESTARTS; i++) {
		struct rfork_event event = next_event(rfd, RFORK_EV_RESTART);

		EQUAL(event.flags & RFORK_WARM, 0);
		EQUAL(event.cause, i % 2 ? RFORK_CAUSE_REQUEST : RFORK_CAUSE_ERROR);
	}
	EQUAL(expect_end(rfd, RFORK_END_EXIT).status, 0);
	return 0;
}
