/* SPDX-License-Identifier: MIT */
/*
 * Whether an instance has executed its program, and why not. Each instance opens a channel for itself and passes one end to the
 * runner; a successful exec closes the other end. A channel from before the restart point would never end, because the
 * template and the spare hold it too.
 */
#include "run.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define ABOUT_TO 'x'
#define SWEPT_S 3		/* a runner that does not answer does not hold up a restart for longer */

struct hello {
	uint64_t generation;
	pid_t pid;
};

void run_exec_open(struct run_config *config)
{
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, config->exec_sockets) < 0)
		run_fail("socketpair", "");
	for (int i = 0; i < 2; i++)
		config->exec_sockets[i] = run_high_fd(config->exec_sockets[i]);
}

static bool say_hello(int to, const struct hello *hello, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr header;
	} rights;
	struct hello copy = *hello;
	struct iovec part = { &copy, sizeof copy };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (fd >= 0) {
		memset(&rights, 0, sizeof rights);
		message.msg_control = rights.bytes;
		message.msg_controllen = sizeof rights.bytes;
		rights.header.cmsg_len = CMSG_LEN(sizeof fd);
		rights.header.cmsg_level = SOL_SOCKET;
		rights.header.cmsg_type = SCM_RIGHTS;
		memcpy(CMSG_DATA(&rights.header), &fd, sizeof fd);
	}
	return sendmsg(to, &message, MSG_NOSIGNAL) > 0;
}

/* What the instance before has left would be in the way of this one, with its ports above all. */
static void wait_for_sweep(int channel)
{
	struct timeval most = { .tv_sec = SWEPT_S };
	char c;

	setsockopt(channel, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
	recv(channel, &c, 1, 0);
	most.tv_sec = 0;
	setsockopt(channel, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
}

/* In an instance, first of all. Without a channel the runner takes the program for executed. */
void run_exec_give(const struct run_config *config, uint64_t generation)
{
	struct hello hello;
	int ends[2] = { -1, -1 }, channel = -1;

	memset(&hello, 0, sizeof hello);
	hello.generation = generation;
	hello.pid = getpid();
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0)
		channel = run_high_fd(ends[0]);
	if (!say_hello(config->exec_sockets[1], &hello, ends[1])) {
		channel = -1;
		say_hello(config->exec_sockets[1], &hello, -1);
	}
	if (ends[1] >= 0)
		close(ends[1]);
	run_channel_set(channel);
	if (generation && !config->cgroup_kills && channel >= 0)
		wait_for_sweep(channel);
}

/* In an instance, last of all: without this, the end of the channel only means that the instance has died. */
void run_exec_begin(void)
{
	char c = ABOUT_TO;

	if (run_channel() >= 0)
		send(run_channel(), &c, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* This process may be late, and the instance have gone on without it: then orphans may be the children of one after it. */
static bool runs_now(const struct runner *r, pid_t pid)
{
	struct rfork_info info;

	return rfork_query(r->rfd, &info) == 0 && info.pid == pid;
}

static void sweep_before(struct runner *r, const struct hello *next)
{
	struct run_exec *e = &r->exec;
	const struct run_remains before = {
		.runner = runs_now(r, next->pid) ? getpid() : 0, .monitor = r->monitor, .session = e->pid,
		.instance = r->pid == next->pid ? 0 : r->pid, .next = next->pid,
	};

	e->generation = next->generation;
	e->pid = next->pid;
	if (!e->generation || e->fd < 0)
		return;
	run_sweep(r->config, &before);
	send(e->fd, "", 1, MSG_NOSIGNAL);
}

/* Receive the channel of the next instance. */
static bool take_channel(struct runner *r)
{
	struct run_exec *e = &r->exec;
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr header;
	} rights;
	struct hello hello;
	struct iovec part = { &hello, sizeof hello };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = rights.bytes,
				  .msg_controllen = sizeof rights.bytes };

	if (recvmsg(r->config->exec_sockets[0], &message, MSG_DONTWAIT) != sizeof hello)
		return false;
	e->fd = -1;
	e->begun = message.msg_controllen == 0;
	e->length = 0;
	if (message.msg_controllen) {
		memcpy(&e->fd, CMSG_DATA(&rights.header), sizeof e->fd);
		fcntl(e->fd, F_SETFD, FD_CLOEXEC);
	}
	sweep_before(r, &hello);
	return true;
}

/* Whether the channel has come to its end. */
static bool has_ended(struct run_exec *e)
{
	ssize_t got = 0;
	char c;

	while (e->fd >= 0 && (got = recv(e->fd, &c, 1, MSG_DONTWAIT)) == 1) {
		if (!e->begun && c == ABOUT_TO && !e->length)
			e->begun = true;
		else if (e->length + 1 < sizeof e->text)
			e->text[e->length++] = c;
	}
	e->text[e->length] = '\0';
	return got == 0 || (errno != EAGAIN && errno != EINTR);
}

static void leave(struct run_exec *e)
{
	if (e->fd >= 0)
		close(e->fd);
	e->fd = -1;
}

static void conclude(struct runner *r)
{
	struct run_exec *e = &r->exec;

	if (e->length) {
		rfork_stop(r->rfd, 0);
		e->failed |= !r->stopping;
		r->stopping = true;
		r->kick_by = r->ready_by = r->beat_by = r->end_by = r->hang_by = r->probe_at = 0;
	} else if (e->begun) {
		e->executed = e->generation + 1;
	}
	leave(e);	/* only now may the instance end */
}

/* Whether what is next comes from an instance of which the runner has not read yet. */
static bool is_ahead(const struct runner *r)
{
	return r->exec.fd < 0 && r->exec.generation > r->generation;
}

void run_exec_heed(struct runner *r)
{
	if (r->exec.fd >= 0 && r->exec.generation < r->generation)
		leave(&r->exec);	/* of an instance that died before its exec */
	while (!is_ahead(r) && (r->exec.fd >= 0 || take_channel(r)) && has_ended(&r->exec))
		conclude(r);
}

/* From a checkpoint on, the instance runs the program. */
bool run_has_executed(const struct runner *r)
{
	return r->warm || r->exec.executed > r->cold_generation;
}

/* Bytes that are not the end are no reason to wake: most instances write one just before their exec. */
struct pollfd run_exec_poll(const struct runner *r)
{
	if (r->exec.fd >= 0)
		return (struct pollfd){ .fd = r->exec.fd, .events = POLLRDHUP };
	return (struct pollfd){ .fd = is_ahead(r) ? -1 : r->config->exec_sockets[0], .events = POLLIN };
}
