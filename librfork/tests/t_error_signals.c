/* SPDX-License-Identifier: MIT */
/* Each signal of an error in the program restarts it by default, abort() among them,
 * and the event says which it was. */
#include "testing.h"

static const int errors[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT };
#define ERRORS (sizeof errors / sizeof *errors)

static _Noreturn void instance(void)
{
	uint64_t generation = (uint64_t)rfork_generation();
	volatile int *nowhere = NULL;

	if (generation < ERRORS)
		kill(getpid(), errors[generation]);
	else if (generation == ERRORS)
		abort();
	else if (generation == ERRORS + 1)
		*nowhere = 1;
	_exit(rfork_cause() == RFORK_CAUSE_ERROR ? 0 : 1);
}

int main(void)
{
	struct rfork_options options = options_for_many();
	int rfd;
	pid_t pid = rfork_create(&options, &rfd);

	CHECK(pid >= 0);
	if (pid == 0)
		instance();
	for (size_t i = 0; i < ERRORS + 2; i++) {
		struct rfork_event event = next_event(rfd, RFORK_EV_RESTART);
		int wanted = i < ERRORS ? errors[i] : i == ERRORS ? SIGABRT : SIGSEGV;

		EQUAL(event.cause, RFORK_CAUSE_ERROR);
		CHECK(WIFSIGNALED(event.status));
		EQUAL(WTERMSIG(event.status), wanted);
	}
	EQUAL(expect_end(rfd, RFORK_END_EXIT).status, 0);
	return 0;
}
