/* SPDX-License-Identifier: MIT */
/* The processes that a checkpoint needs are not the program's: its wait(2) reports only its own children, SIGCHLD comes for those
 * only, and stays what the program made of it. */
#include "testing.h"

#define RESTARTS 5

static volatile sig_atomic_t caught;

static void on_child(int signal)
{
	(void)signal;
	caught++;
}

static pid_t start_child(void)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0)
		_exit(5);
	return pid;
}

/* One that has ended before the checkpoint, and whose signal is still blocked. */
static int64_t checkpoint_beside_child(const sigset_t *before)
{
	pid_t child = start_child();
	siginfo_t info;
	int64_t generation;

	CHECK(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) == 0);
	EQUAL(caught, 0);
	generation = rfork_checkpoint();
	if (generation == 0) {
		sigsuspend(before);
		EQUAL(caught, 1);
		EQUAL(waitpid(-1, NULL, __WALL), child);
	}
	return generation;
}

static _Noreturn void instance(void)
{
	sigset_t child, before;
	int64_t generation;

	CHECK(signal(SIGCHLD, on_child) == SIG_DFL);
	CHECK(rfork_checkpoint() >= 0);
	EQUAL(caught, 0);
	EQUAL(waitpid(-1, NULL, __WALL), -1);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	CHECK(sigprocmask(SIG_BLOCK, &child, &before) == 0);
	generation = checkpoint_beside_child(&before);
	EQUAL(caught, generation == 0);
	EQUAL(waitpid(-1, NULL, __WALL), -1);
	EQUAL(errno, ECHILD);
	CHECK(signal(SIGCHLD, SIG_DFL) == on_child);
	if (generation < RESTARTS)
		abort();
	_exit(0);
}

int main(void)
{
	struct rfork_options options = options_for_many();
	int rfd;
	pid_t pid;

	need(RFORK_CAN_HIDE_HELPERS, "this backend's helpers are children of the program");
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0)
		instance();
	next_event(rfd, RFORK_EV_CHECKPOINT);
	next_event(rfd, RFORK_EV_CHECKPOINT);
	for (int i = 0; i < RESTARTS; i++)
		EQUAL(next_event(rfd, RFORK_EV_RESTART).cause, RFORK_CAUSE_ERROR);
	EQUAL(expect_end(rfd, RFORK_END_EXIT).status, 0);
	EQUAL(waitpid(-1, NULL, __WALL), -1);
	return 0;
}
