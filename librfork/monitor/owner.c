/* SPDX-License-Identifier: MIT */
/*
 * The user level in the group's parent. The library keeps no table: the descriptor
 * is a socket that the monitor has made, so that its peer's credentials name it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "monitor.h"

static int reap(pid_t pid, int *status)
{
	pid_t got;

	do
		got = waitpid(pid, status, __WALL);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : 0;
}

/* The monitor's word that the first instance runs, and the group's descriptor. */
static int await_hello(int from, pid_t monitor, int *rfd)
{
	struct rfork_hello hello;
	struct rfork_packet packet = { .data = &hello, .size = sizeof hello };
	int rc;

	do
		rc = rfork_wire_receive(from, &packet, 0);
	while (rc == -EINTR);
	if (rc == 1 && !hello.error && packet.fd_count == 1) {
		if (rfd)
			*rfd = packet.fds[0];
		else
			close(packet.fds[0]);
		return 0;
	}
	reap(monitor, NULL);
	return rc == 1 && hello.error ? hello.error : -ECHILD;
}

/* fork(2) where it will do: it also sets a threaded program's library right. */
static pid_t fork_with(int exit_signal)
{
	pid_t pid;

	if (exit_signal != SIGCHLD)
		return rfork_raw_fork(exit_signal > 0 ? (unsigned long)exit_signal : 0);
	pid = fork();
	return pid < 0 ? -errno : pid;
}

/* After unshare(2) the monitor would be the first process of a namespace that its parent is not of. Until there is such a
 * process the second link points nowhere. */
static bool unshared_pids(void)
{
	static const char children[] = "/proc/self/ns/pid_for_children";
	struct stat own, theirs;

	if (stat("/proc/self/ns/pid", &own) < 0 || lstat(children, &theirs) < 0)
		return false;
	return stat(children, &theirs) < 0 || own.st_ino != theirs.st_ino;
}

pid_t rfork_user_create(const struct rfork_options *options, int *rfd)
{
	struct rfork_start start = { .options = options, .owner = getpid() };
	sigset_t all;
	pid_t pid;
	int pair[2], rc, saved = errno;
	bool refused = unshared_pids();

	errno = saved;
	if (refused)
		return -EINVAL;
	rc = rfork_wire_pair(SOCK_STREAM, pair);
	if (rc < 0)
		return rc;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &start.mask);
	pid = fork_with(options->exit_signal);
	if (pid == 0) {
		close(pair[0]);
		start.hello = pair[1];
		rfork_monitor_run(&start);	/* returns in an instance */
		errno = saved;
		return 0;
	}
	close(pair[1]);
	rc = pid < 0 ? pid : await_hello(pair[0], pid, rfd);
	close(pair[0]);
	sigprocmask(SIG_SETMASK, &start.mask, NULL);
	errno = saved;
	return rc < 0 ? rc : pid;
}

static pid_t monitor_of(int rfd)
{
	struct ucred peer;
	socklen_t size = sizeof peer;

	return getsockopt(rfd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ? -1 : peer.pid;
}

/* Whether END has been read is noted on the socket itself, where it outlives an exec
 * and needs no lock: its priority means nothing to a Unix socket. */
static bool end_was_read(int rfd)
{
	int mark = 0;
	socklen_t size = sizeof mark;

	return getsockopt(rfd, SOL_SOCKET, SO_PRIORITY, &mark, &size) == 0 && mark;
}

static void note_end_read(int rfd)
{
	int mark = 1;

	setsockopt(rfd, SOL_SOCKET, SO_PRIORITY, &mark, sizeof mark);
}

/* A monitor that was killed could not say END; its instance went with it. */
static int end_without_word(int rfd, struct rfork_event *event)
{
	if (end_was_read(rfd))
		return 0;
	memset(event, 0, sizeof *event);
	event->type = RFORK_EV_END;
	event->reason = RFORK_END_NO_IMAGE;
	event->cause = RFORK_CAUSE_SIGNAL;
	event->fail_ns = rfork_now();
	if (reap(monitor_of(rfd), &event->status) < 0)
		event->status = SIGKILL;
	note_end_read(rfd);
	return 1;
}

int rfork_user_next_event(int rfd, struct rfork_event *event)
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
			rfork_reap_ended(monitor_of(rfd), event->fail_ns);
		}
	}
	errno = saved;
	return rc;
}

static int await_reply(int from, struct rfork_reply *reply)
{
	struct rfork_packet packet = { .data = reply, .size = sizeof *reply };
	int rc;

	do
		rc = rfork_wire_receive(from, &packet, 0);
	while (rc == -EINTR);
	if (rc == 1)
		return reply->error;
	return rc < 0 && rc != -ECONNRESET ? rc : -ESRCH;
}

static int ask(int rfd, struct rfork_command *command, struct rfork_reply *reply)
{
	struct rfork_packet packet = { .data = command, .size = sizeof *command, .fd_count = 1 };
	int pair[2], rc, saved = errno;

	rc = rfork_wire_pair(SOCK_STREAM, pair);
	if (rc < 0)
		return rc;
	packet.fds[0] = pair[1];
	rc = rfork_wire_send(rfd, &packet, 0);
	close(pair[1]);
	if (rc == 0)
		rc = await_reply(pair[0], reply);
	else if (rc == -EPIPE || rc == -ECONNRESET)
		rc = -ESRCH;
	close(pair[0]);
	errno = saved;
	return rc;
}

int rfork_user_ctl(int rfd, unsigned int cmd, int signal, unsigned int cause)
{
	struct rfork_command command = { .cmd = cmd, .signal = (uint32_t)signal, .cause = cause };
	struct rfork_reply reply;

	return ask(rfd, &command, &reply);
}

int rfork_user_query(int rfd, struct rfork_info *info)
{
	struct rfork_command command = { .cmd = RFORK_INFO };
	struct rfork_reply reply;
	int rc = ask(rfd, &command, &reply);

	if (rc == 0) {
		*info = reply.info;
		info->rfd = rfd;
	}
	return rc;
}
