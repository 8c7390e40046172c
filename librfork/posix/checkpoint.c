/* SPDX-License-Identifier: MIT */
/*
 * A checkpoint. fork(2) runs the handlers of pthread_atfork(3) by itself, here and in each instance, and once more in every
 * process between.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "group.h"

#define KNOWN_FLAGS (RFORK_KEEP_LOCKS | RFORK_RESEED)

struct question {
	pid_t owner;		/* of the locks */
	int found[2];		/* a pipe for the descriptor that has one */
};

/* In the process between. */
static int check_locks(void *pointer)
{
	struct question *question = pointer;
	int fd = rfork_posix_find_lock(question->owner);

	if (fd < 0)
		return 0;
	return write(question->found[1], &fd, sizeof fd) == (ssize_t)sizeof fd ? -ENOLCK : -EIO;
}

static void say_lock(struct question *question, char *problem, size_t size)
{
	int fd;

	if (read(question->found[0], &fd, sizeof fd) == (ssize_t)sizeof fd)
		snprintf(problem, size, "descriptor %d has a record lock, which the next instance would not have: open the "
			 "file or database after the checkpoint", fd);
}

static pid_t fork_holder(uint64_t flags, char *problem, size_t size)
{
	struct question question = { .owner = getpid() };
	struct rfork_posix_hidden how = { flags & RFORK_KEEP_LOCKS ? NULL : check_locks, &question };
	pid_t pid;

	if (pipe(question.found) < 0)
		return -errno;
	pid = rfork_posix_fork_hidden(&how);
	if (pid == -ENOLCK)
		say_lock(&question, problem, size);
	close(question.found[0]);
	close(question.found[1]);
	return pid;
}

static void answer(int to, uint32_t what, pid_t pid, int status, uint64_t ns)
{
	struct rfork_posix_answer answer;

	memset(&answer, 0, sizeof answer);
	answer.what = what;
	answer.pid = pid;
	answer.status = status;
	answer.ns = ns;
	rfork_posix_send(to, &answer, sizeof answer, NULL, 0);
}

static void begin(const struct rfork_posix_self *base, const struct rfork_posix_order *order, pid_t holder, uint64_t start_ns)
{
	struct rfork_posix_self self = *base;

	self.pid = getpid();
	self.parent = holder;
	self.cause = order->cause;
	self.status = order->status;
	self.generation = order->generation;
	self.fail_ns = order->fail_ns;
	self.start_ns = start_ns;
	self.flags = RFORK_WARM;
	rfork_posix_self_set(&self);
}

/* True: this is the instance. */
static bool start(struct rfork_posix_watch *watch, int *orders, const struct rfork_posix_order *order,
		  const struct rfork_posix_self *base)
{
	pid_t holder = getpid();
	uint64_t start_ns = 0;
	pid_t pid = rfork_posix_watch_spawn(watch, &start_ns);

	if (pid == 0) {
		rfork_posix_close(orders);
		rfork_posix_watch_leave(watch);
		begin(base, order, holder, start_ns);
		return true;
	}
	answer(*orders, pid < 0 ? POSIX_REFUSED : POSIX_STARTED, pid, 0, start_ns);
	return false;
}

/* True: this is the instance. */
static bool obey(struct rfork_posix_watch *watch, int *orders, const struct rfork_posix_self *base, uint64_t *generation)
{
	struct rfork_posix_order order;

	if (rfork_posix_receive(*orders, &order, sizeof order, NULL, NULL) != 1) {
		rfork_posix_watch_kill(watch);	/* the monitor has let go of this image, or is gone */
		_exit(0);
	}
	*generation = order.generation;
	if (order.what == POSIX_START)
		return start(watch, orders, &order, base);
	if (watch->child)
		kill(watch->child, order.signal);
	return false;
}

/* The holder: returns in each instance, with its generation. */
static int64_t hold(int orders, const sigset_t *mask)
{
	const struct rfork_posix_self base = *rfork_posix_self_inherited();
	struct rfork_posix_watch watch;
	uint64_t generation;
	int status;

	if (rfork_posix_watch_open(&watch, mask, false) < 0)
		_exit(1);
	for (;;) {
		struct pollfd waiting = { .fd = orders, .events = POLLIN };

		rfork_posix_watch_poll(&watch, &waiting, 1, -1);
		if (rfork_posix_watch_ended(&watch, &status))
			answer(orders, POSIX_ENDED, 0, status, rfork_now());
		if (waiting.revents && obey(&watch, &orders, &base, &generation))
			return (int64_t)generation;
	}
}

/* The monitor has the holder once this returns 0: a crash from then on is warm. */
static int hand_over(int control, int *orders)
{
	struct rfork_posix_notice notice = { .pid = getpid() };
	int reply[2], fds[POSIX_FDS], rc = rfork_posix_pair(reply);
	int32_t error;

	if (rc < 0)
		return rc;
	fds[0] = *orders;
	fds[1] = reply[1];
	rc = rfork_posix_send(control, &notice, sizeof notice, fds, POSIX_FDS);
	rfork_posix_close(orders);
	close(reply[1]);
	if (rc == 0)
		rc = rfork_posix_receive(reply[0], &error, sizeof error, NULL, NULL);
	close(reply[0]);
	return rc == 1 ? error : rc < 0 ? rc : -ESRCH;
}

static int64_t move_restart_point(uint64_t flags, char *problem, size_t size, const sigset_t *mask)
{
	int orders[2], high, rc = rfork_posix_pair(orders);
	pid_t holder;

	if (rc < 0)
		return rc;
	high = rfork_posix_raise(orders[1], false);
	if (high >= 0)
		orders[1] = high;
	holder = fork_holder(flags, problem, size);
	if (holder == 0) {
		close(orders[0]);
		return hold(orders[1], mask);
	}
	close(orders[1]);
	rc = holder < 0 ? holder : hand_over(rfork_posix_self_control(), &orders[0]);
	rfork_posix_close(&orders[0]);
	return rc;
}

/* A handler that a checkpoint runs is not to make another one. */
int64_t rfork_posix_checkpoint(uint64_t flags, char *problem, size_t size)
{
	static volatile sig_atomic_t active;
	int saved = errno;
	sigset_t all, mask;
	int64_t rc;

	if (flags & ~(uint64_t)KNOWN_FLAGS)
		return -EINVAL;
	if (active)
		return -EDEADLK;
	if (rfork_posix_self_control() < 0)
		return -ESRCH;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &mask);
	active = 1;
	rc = move_restart_point(flags, problem, size, &mask);
	active = 0;
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	errno = saved;
	return rc;
}
