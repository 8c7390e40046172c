/* SPDX-License-Identifier: MIT */
/* abort() and raise() in a restarted instance signal that instance and nobody else,
 * though the C library did not make the process. */
#include "testing.h"

static _Noreturn void instance(pid_t *pids)
{
	int64_t generation = rfork_generation();

	if (generation == 2) {
		generation = rfork_checkpoint();
		CHECK(generation >= 0);
		if (!generation)
			generation = 2;
	}
	pids[generation] = getpid();
	if (generation == 6)
		_exit(0);
	if (generation % 2)
		raise(SIGABRT);
	abort();
}

int main(void)
{
	struct rfork_options options = options_for_many();
	pid_t *pids = shared(8 * sizeof *pids);
	struct rfork_event event;
	int rfd;
	pid_t pid = rfork_create(&options, &rfd);

	CHECK(pid >= 0);
	if (pid == 0)
		instance(pids);
	for (int i = 0; i < 6; i++) {
		if (i == 2)
			next_event(rfd, RFORK_EV_CHECKPOINT);
		event = next_event(rfd, RFORK_EV_RESTART);
		EQUAL(event.old_pid, pids[i]);
		EQUAL(WTERMSIG(event.status), SIGABRT);
	}
	EQUAL(expect_end(rfd, RFORK_END_EXIT).status, 0);
	return 0;
}
