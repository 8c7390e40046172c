/* SPDX-License-Identifier: MIT */
/* The parent gets its exit signal for every instance, in order, with PID and status, and can wait(2) for them in the same
 * order; as long as the group lives wait(2) never says that there is no child. */
#include "system.h"

#define RESTARTS 30

static struct rfork_options options = {
	.flags = RFORK_ON_STATUS, .burst = RFORK_BURST_UNLIMITED,
};

static _Noreturn void instance(void)
{
	int64_t generation = rfork_generation();

	_exit(generation == RESTARTS ? 0 : (int)generation + 1);
}

static siginfo_t take_signal(const sigset_t *set)
{
	siginfo_t info;

	EQUAL(sigwaitinfo(set, &info), SIGRTMIN);
	return info;
}

/* The kernel's: each instance is a child. */
static void follow_instances(const sigset_t *set)
{
	for (int i = 0; i <= RESTARTS; i++) {
		int wanted = i == RESTARTS ? 0 : i + 1, status;
		siginfo_t info = take_signal(set);
		pid_t pid = waitpid(-1, &status, __WALL);

		EQUAL(pid, info.si_pid);
		EQUAL(info.si_code, CLD_EXITED);
		EQUAL(info.si_status, wanted);
		EQUAL(WEXITSTATUS(status), wanted);
	}
}

/* The user level's: the monitor is the child, and tells of its instances. */
static void follow_monitor(const sigset_t *set, pid_t monitor)
{
	int status;

	for (int i = 0; i < RESTARTS; i++)
		EQUAL(take_signal(set).si_pid, monitor);
	EQUAL(take_signal(set).si_status, 0);
	EQUAL(waitpid(-1, &status, __WALL), monitor);
	EQUAL(status, 0);
}

int main(void)
{
	struct rfork_event event;
	sigset_t set;
	int rfd;
	pid_t pid;

	need(RFORK_CAN_CHOOSE_SIGNAL, "POSIX has SIGCHLD only; with another signal the monitor is no child");
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	options.exit_signal = SIGRTMIN;
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0)
		instance();
	if (is_kernel_level())
		follow_instances(&set);
	else
		follow_monitor(&set, pid);
	EQUAL(waitpid(-1, NULL, __WALL), -1);
	EQUAL(errno, ECHILD);
	for (int i = 0; i < RESTARTS; i++)
		EQUAL(WEXITSTATUS(next_event(rfd, RFORK_EV_RESTART).status), i + 1);
	EQUAL(rfork_next_event(rfd, &event), 1);
	EQUAL(event.type, RFORK_EV_END);
	return 0;
}
