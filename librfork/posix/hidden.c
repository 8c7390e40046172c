/* SPDX-License-Identifier: MIT */
/*
 * A process that the program's own wait(2) never reports, and whose end sends it no SIGCHLD: a process between the two makes
 * it, and is gone. The caller has blocked all signals.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "group.h"

struct result {
	int error;
	pid_t pid;
};

static bool is_pending(void)
{
	sigset_t pending;

	return sigpending(&pending) == 0 && sigismember(&pending, SIGCHLD);
}

/* The SIGCHLD of the process between is not the program's. One of a child of its own may have become one with it. */
static void swallow(bool was_pending)
{
	siginfo_t other = { .si_pid = 0 };
	sigset_t child;
	int signal;

	if (was_pending || !is_pending())
		return;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigwait(&child, &signal);
	if (waitid(P_ALL, 0, &other, WEXITED | WNOHANG | WNOWAIT) == 0 && other.si_pid)
		kill(getpid(), SIGCHLD);
}

/* In the process between: returns in the hidden one. */
static void stand_between(const struct rfork_posix_hidden *how, int to)
{
	struct result result = { 0, 0 };
	ssize_t written;

	result.error = how->before ? how->before(how->argument) : 0;
	if (result.error >= 0) {
		result.pid = fork();
		if (result.pid == 0)
			return;
		result.error = result.pid < 0 ? -errno : 0;
	}
	written = write(to, &result, sizeof result);
	_exit(written != sizeof result);
}

/* As fork(2), with the PID of a process that is nobody's child; or -errno, also that of `before`. */
pid_t rfork_posix_fork_hidden(const struct rfork_posix_hidden *how)
{
	struct result result = { -EAGAIN, 0 };
	bool was_pending = is_pending();
	pid_t between;
	ssize_t got;
	int ends[2];

	if (pipe(ends) < 0)
		return -errno;
	between = fork();
	if (between == 0)
		stand_between(how, ends[1]);
	close(ends[1]);
	if (between == 0) {
		close(ends[0]);
		return 0;
	}
	if (between < 0)
		result.error = -errno;
	else
		while ((got = read(ends[0], &result, sizeof result)) < 0 && errno == EINTR)
			;
	close(ends[0]);
	while (between > 0 && waitpid(between, NULL, 0) < 0 && errno == EINTR)
		;
	swallow(was_pending);
	return result.error < 0 ? result.error : result.pid;
}
