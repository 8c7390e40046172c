/* SPDX-License-Identifier: MIT */
/* A stop always wins, also against a restart under way: after it no instance is started,
 * and the group's end says stop. */
#include "testing.h"

static void stop_crashing(int round, pid_t *latest)
{
	struct rfork_options options = options_for_many();
	struct rfork_event event = { 0 };
	uint64_t read = 0;
	int rfd;
	pid_t pid = rfork_create(&options, &rfd);

	CHECK(pid >= 0);
	if (pid == 0) {
		*latest = getpid();
		abort();
	}
	for (int i = 0; i < round % 4; i++, read++)
		next_event(rfd, RFORK_EV_RESTART);
	EQUAL(rfork_stop(rfd, round % 2 ? SIGKILL : 0), 0);
	for (; event.type != RFORK_EV_END; read++)
		EQUAL(rfork_next_event(rfd, &event), 1);
	/* Nobody waits for us: on a busy machine events are lost, and their instances left to wait(2). */
	while (waitpid(-1, NULL, WNOHANG | __WALL) > 0)
		CHECK(read++ < event.seq);
	EQUAL(event.reason, RFORK_END_STOP);
	CHECK(no_such_process(*latest));
	EQUAL(rfork_stop(rfd, 0), -ESRCH);
	EQUAL(rfork_kick(rfd, 0, RFORK_CAUSE_OPERATOR), -ESRCH);
	close(rfd);
}

static void stop_quiet(int warm)
{
	struct rfork_event event;
	int rfd;
	pid_t pid = rfork_create(NULL, &rfd);

	CHECK(pid >= 0);
	if (pid == 0) {
		if (warm)
			CHECK(rfork_checkpoint() == 0);
		for (;;)
			pause();
	}
	if (warm)
		next_event(rfd, RFORK_EV_CHECKPOINT);
	EQUAL(rfork_stop(rfd, SIGTERM), 0);
	event = expect_end(rfd, RFORK_END_STOP);
	EQUAL(WTERMSIG(event.status), SIGTERM);
	close(rfd);
	EQUAL(waitpid(-1, NULL, __WALL), -1);
}

int main(void)
{
	pid_t *latest = shared(sizeof *latest);
	int rounds = few_or_all(300, 10000);

	for (int round = 0; round < rounds; round++)
		stop_crashing(round, latest);
	stop_quiet(0);
	stop_quiet(1);
	return 0;
}
