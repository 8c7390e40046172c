/* SPDX-License-Identifier: MIT */
/* An instance told to restart is restarted however it ends, in its own time: it may clean up and exit with 0. After a stop
 * without a signal it goes on, and its end is the group's. */
#include "testing.h"

static volatile sig_atomic_t told;
static volatile int *ready, *cleaned;

static void on_term(int signo)
{
	(void)signo;
	told = 1;
}

static _Noreturn void instance(void)
{
	struct sigaction action = { .sa_handler = on_term };
	sigset_t term, before;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, &before);
	sigaction(SIGTERM, &action, NULL);
	*ready = (int)rfork_generation() + 1;
	while (!told)
		sigsuspend(&before);
	(*cleaned)++;
	_exit(0);
}

int main(void)
{
	struct rfork_options options = options_for_many();
	struct rfork_event event;
	struct rfork_info info;
	int rfd;
	pid_t pid;

	ready = shared(sizeof *ready);
	cleaned = shared(sizeof *cleaned);
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0)
		instance();
	for (int i = 1; i <= 5; i++) {
		unsigned int cause = i % 2 ? RFORK_CAUSE_OPERATOR : RFORK_CAUSE_HEARTBEAT;

		EVENTUALLY(*ready == i);
		EQUAL(rfork_kick(rfd, SIGTERM, cause), 0);
		event = next_event(rfd, RFORK_EV_RESTART);
		EQUAL(event.cause, cause);
		EQUAL(event.status, 0);
		EQUAL(*cleaned, i);
	}
	EVENTUALLY(*ready == 6);
	EQUAL(rfork_stop(rfd, 0), 0);
	EQUAL(rfork_query(rfd, &info), 0);
	EQUAL(info.pid, event.new_pid);
	CHECK(kill(info.pid, SIGSEGV) == 0);
	EQUAL(WTERMSIG(expect_end(rfd, RFORK_END_STOP).status), SIGSEGV);
	return 0;
}
