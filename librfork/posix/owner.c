/* SPDX-License-Identifier: MIT */
/*
 * The backend in the group's parent. The library keeps no table: what it must know about a group is noted on its socket,
 * where it outlives an exec and needs no lock. The options used mean nothing to a Unix socket, or not to one that is only
 * written in small pieces.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include "monitor.h"

static int reap(pid_t pid, int *status)
{
	pid_t got;

	do
		got = waitpid(pid, status, 0);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : 0;
}

static bool is_set(int rfd, int option)
{
	int value = 0;
	socklen_t size = sizeof value;

	return getsockopt(rfd, SOL_SOCKET, option, &value, &size) == 0 && value;
}

bool rfork_posix_is_group(int rfd)
{
	int saved = errno;
	bool is = is_set(rfd, SO_KEEPALIVE);	/* by monitor.c */

	errno = saved;
	return is;
}

/* END has been read. */
static void note_end_read(int rfd)
{
	int on = 1;

	setsockopt(rfd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof on);
}

/* The child to be reaped at the end, as a time to wait for room in the socket. Some systems do not let it be set. */
static void note_monitor(int rfd, pid_t pid)
{
	struct timeval time = { .tv_sec = pid };

	setsockopt(rfd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
}

static pid_t monitor_of(int rfd)
{
	struct timeval time = { .tv_sec = 0 };
	socklen_t size = sizeof time;

	return getsockopt(rfd, SOL_SOCKET, SO_SNDTIMEO, &time, &size) < 0 ? 0 : (pid_t)time.tv_sec;
}

/* The monitor's word that the first instance runs, and the group's descriptor. */
static int await_hello(int from, pid_t monitor, bool hidden, int *rfd)
{
	int32_t error;
	int fd, count = 1;
	int rc = rfork_posix_receive(from, &error, sizeof error, &fd, &count);

	if (rc == 1 && !error && count == 1) {
		if (!hidden)
			note_monitor(fd, monitor);
		if (rfd)
			*rfd = fd;
		else
			close(fd);
		return 0;
	}
	if (!hidden)
		reap(monitor, NULL);
	return rc == 1 && error ? error : -ECHILD;
}

/* A child sends SIGCHLD and shows in wait(2). Who wants another signal gets it from a process that is no child. */
static pid_t fork_monitor(bool hidden)
{
	const struct rfork_posix_hidden how = { NULL, NULL };
	pid_t pid = hidden ? rfork_posix_fork_hidden(&how) : fork();

	return pid < 0 && !hidden ? -errno : pid;
}

pid_t rfork_posix_create(const struct rfork_options *options, int *rfd)
{
	struct rfork_posix_start start = {
		.options = options, .owner = getpid(), .hidden = options->exit_signal != SIGCHLD,
	};
	sigset_t all;
	pid_t pid;
	int pair[2], saved = errno;
	int rc = rfork_posix_pair(pair);

	if (rc < 0)
		return rc;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &start.mask);
	pid = fork_monitor(start.hidden);
	if (pid == 0) {
		close(pair[0]);
		start.hello = pair[1];
		rfork_posix_monitor_run(&start);	/* returns in an instance */
	} else {
		close(pair[1]);
		rc = pid < 0 ? pid : await_hello(pair[0], pid, start.hidden, rfd);
		close(pair[0]);
	}
	pthread_sigmask(SIG_SETMASK, &start.mask, NULL);
	errno = saved;
	return rc < 0 ? rc : pid;
}

/* A monitor that was killed could not say END. */
static int end_without_word(int rfd, struct rfork_event *event)
{
	pid_t monitor = monitor_of(rfd);

	if (is_set(rfd, SO_OOBINLINE))
		return 0;
	memset(event, 0, sizeof *event);
	event->type = RFORK_EV_END;
	event->reason = RFORK_END_NO_IMAGE;
	event->cause = RFORK_CAUSE_SIGNAL;
	event->fail_ns = rfork_now();
	if (!monitor || reap(monitor, &event->status) < 0)
		event->status = SIGKILL;
	note_end_read(rfd);
	return 1;
}

int rfork_posix_next_event(int rfd, struct rfork_event *event)
{
	int saved = errno, rc = 0;
	ssize_t got = recv(rfd, event, sizeof *event, 0);

	/* A monitor that dies with unread commands resets the connection. */
	if (got == 0 || (got < 0 && errno == ECONNRESET)) {
		rc = end_without_word(rfd, event);
	} else if (got < 0) {
		rc = -errno;
	} else if ((size_t)got != sizeof *event) {
		rc = -EPROTO;
	} else {
		rc = 1;
		if (event->type == RFORK_EV_END) {
			note_end_read(rfd);
			if (monitor_of(rfd))
				reap(monitor_of(rfd), NULL);
		}
	}
	errno = saved;
	return rc;
}

static int ask(int rfd, const struct rfork_posix_command *command, struct rfork_posix_reply *reply)
{
	int pair[2], saved = errno;
	int rc = rfork_posix_pair(pair);

	if (rc < 0)
		return rc;
	rc = rfork_posix_send(rfd, command, sizeof *command, &pair[1], 1);
	close(pair[1]);
	if (rc == 0)
		rc = rfork_posix_receive(pair[0], reply, sizeof *reply, NULL, NULL);
	if (rc == 1)
		rc = reply->error;
	else if (rc == 0 || rc == -EPIPE || rc == -ECONNRESET)
		rc = -ESRCH;
	close(pair[0]);
	errno = saved;
	return rc;
}

int rfork_posix_ctl(int rfd, unsigned int cmd, int signal, unsigned int cause)
{
	struct rfork_posix_command command = { .cmd = cmd, .signal = (uint32_t)signal, .cause = cause };
	struct rfork_posix_reply reply;

	return ask(rfd, &command, &reply);
}

int rfork_posix_query(int rfd, struct rfork_info *info)
{
	struct rfork_posix_command command = { .cmd = RFORK_INFO };
	struct rfork_posix_reply reply;
	int rc = ask(rfd, &command, &reply);

	if (rc == 0) {
		*info = reply.info;
		info->rfd = rfd;
	}
	return rc;
}
