/* SPDX-License-Identifier: MIT */
/*
 * The monitor's children. An instance, which may run anybody's program, names processes by number. The monitor may have
 * more rights than the instance, so it accepts a number only for a live child of its own that has no other role. Such
 * a number cannot come to mean another process until the monitor itself has waited for the child.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "monitor.h"

#define END_MS 1000		/* a killed child is waited for this long */
#define LOOK_NS 200000
#define PIDFD_OPEN 434		/* Linux 5.3 */

static bool has_role(const struct rfork_monitor *m, pid_t pid)
{
	return pid == m->self.pid || pid == m->unreaped || pid == m->image.pid || pid == m->spare.pid ||
	       pid == m->keeper || pid == m->spare.keeper || pid == m->late_keeper;
}

/* 0; -ECHILD: not a child of the monitor, or one that it has a use for already; -ESRCH: the child has ended. */
int rfork_child_check(const struct rfork_monitor *m, pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };

	/* WNOWAIT: a status that was taken here would be missing where it counts. */
	if (pid <= 0 || has_role(m, pid) || waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		return -ECHILD;
	return info.si_pid ? -ESRCH : 0;
}

static bool is_reaped(pid_t pid)
{
	pid_t got;

	do
		got = waitpid(pid, NULL, WNOHANG | __WALL);
	while (got < 0 && errno == EINTR);
	return got != 0;
}

static void look_again_and_again(pid_t pid)
{
	const struct timespec pause = { .tv_nsec = LOOK_NS };
	uint64_t deadline = rfork_now() + END_MS * RFORK_NSEC_PER_MSEC;

	while (!is_reaped(pid) && rfork_now() < deadline)
		nanosleep(&pause, NULL);
}

/*
 * Waits for a child that was killed. Only for a time: a process of the component's user can trace the child, and then
 * wait(2) does not report its end until the tracer allows it. Such a child is reaped later, as one without a role.
 */
void rfork_child_reap(pid_t pid)
{
	struct pollfd waiting = { .events = POLLIN };

	if (is_reaped(pid))
		return;
	waiting.fd = (int)syscall(PIDFD_OPEN, pid, 0);
	if (waiting.fd < 0) {
		look_again_and_again(pid);
		return;
	}
	while (poll(&waiting, 1, END_MS) < 0 && errno == EINTR)
		;
	close(waiting.fd);
	is_reaped(pid);
}

void rfork_child_end(pid_t pid)
{
	if (pid > 0) {
		kill(pid, SIGKILL);
		rfork_child_reap(pid);
	}
}

/* To the instance, if there is one. */
int rfork_child_signal(struct rfork_monitor *m, int signal)
{
	return m->self.pid && kill(m->self.pid, signal) < 0 ? -errno : 0;
}
