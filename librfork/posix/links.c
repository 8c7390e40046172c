/* SPDX-License-Identifier: MIT */
/* What the monitor says to holders and instances, and what it hears from them. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "monitor.h"

#define ANSWER_MS 5000		/* of a holder that somebody has stopped, there is no answer */
#define GONE_MS 2000

/* The holder ends when it is told nothing more, and an instance of it before. */
void rfork_posix_drop_image(struct rfork_posix_monitor *m)
{
	if (m->image >= 0 && m->image != m->parent)
		close(m->image);
	m->image = -1;
}

void rfork_posix_drop_parent(struct rfork_posix_monitor *m)
{
	if (m->parent >= 0 && m->parent != m->image)
		close(m->parent);
	m->parent = -1;
}

/* A holder signals its own child, so that no PID can be another process's. */
int rfork_posix_signal(struct rfork_posix_monitor *m, int signal)
{
	struct rfork_posix_order order;

	if (!m->self.pid)
		return 0;
	if (m->parent < 0)
		return kill(m->self.pid, signal) < 0 ? -errno : 0;
	memset(&order, 0, sizeof order);
	order.what = POSIX_SIGNAL;
	order.signal = signal;
	rfork_posix_send(m->parent, &order, sizeof order, NULL, 0);
	return 0;
}

static void announce(struct rfork_posix_monitor *m)
{
	struct rfork_event *event = rfork_posix_queue_add(m, RFORK_EV_CHECKPOINT);

	event->old_pid = m->self.pid;
	event->fail_ns = event->start_ns = rfork_now();
	rfork_posix_queue_flush(m);
}

/* 0, or -errno if the image is not for us. */
static int take_image(struct rfork_posix_monitor *m, int holder)
{
	if (m->options.flags & RFORK_NO_CHECKPOINT)
		return -EPERM;
	holder = rfork_posix_raise(holder, false);
	if (holder < 0)
		return holder;
	rfork_posix_drop_image(m);
	m->image = holder;
	return 0;
}

/* The event leaves before the reply, so that nothing that the instance does next can overtake it. */
void rfork_posix_notices(struct rfork_posix_monitor *m)
{
	struct rfork_posix_notice notice;
	int fds[POSIX_FDS], count = POSIX_FDS;

	while (rfork_posix_receive(m->control, &notice, sizeof notice, fds, &count) == 1) {
		int32_t error = -EINVAL;

		if (count == POSIX_FDS && notice.pid == m->self.pid)
			error = take_image(m, fds[0]);
		if (error == 0)
			announce(m);
		else if (count)
			close(fds[0]);
		if (count == POSIX_FDS) {
			rfork_posix_unblock(fds[1]);
			rfork_posix_send(fds[1], &error, sizeof error, NULL, 0);
			close(fds[1]);
		}
		count = POSIX_FDS;
	}
}

/* 1: an answer; 0: the holder is gone; -EAGAIN: none in time. */
static int await_answer(int holder, struct rfork_posix_answer *answer, int timeout_ms)
{
	struct pollfd waiting = { .fd = holder, .events = POLLIN };
	int ready = poll(&waiting, 1, timeout_ms);

	if (ready <= 0)
		return -EAGAIN;
	return rfork_posix_receive(holder, answer, sizeof *answer, NULL, NULL) == 1;
}

/* An instance whose parent is gone, and which init reaps. */
static void end_orphan(pid_t pid)
{
	uint64_t deadline = rfork_now() + GONE_MS * RFORK_NSEC_PER_MSEC;
	const struct timespec pause = { .tv_nsec = 1000000 };

	while (kill(pid, SIGKILL) == 0 && rfork_now() < deadline)
		nanosleep(&pause, NULL);
}

/* True: the instance has ended, as its parent says. */
bool rfork_posix_hear(struct rfork_posix_monitor *m, int *status, uint64_t *fail_ns)
{
	struct rfork_posix_answer answer;
	int rc = await_answer(m->parent, &answer, 0);

	if (rc < 0 || (rc == 1 && answer.what != POSIX_ENDED))
		return false;
	*status = answer.status;
	*fail_ns = answer.ns;
	if (rc == 0) {
		if (m->image == m->parent)
			m->image = -1;
		rfork_posix_drop_parent(m);
		end_orphan(m->self.pid);
		*status = SIGKILL;
		*fail_ns = rfork_now();
	}
	return true;
}

static int give_order(struct rfork_posix_monitor *m, struct rfork_posix_answer *answer)
{
	struct rfork_posix_order order;
	int rc;

	memset(&order, 0, sizeof order);
	order.what = POSIX_START;
	order.generation = m->self.generation;
	order.fail_ns = m->self.fail_ns;
	order.cause = m->self.cause;
	order.status = m->self.status;
	rc = rfork_posix_send(m->image, &order, sizeof order, NULL, 0);
	return rc < 0 ? 0 : await_answer(m->image, answer, ANSWER_MS);
}

/* 0: the instance runs; -EAGAIN: the holder could not fork; -ESRCH: there is no image any more. */
int rfork_posix_start_warm(struct rfork_posix_monitor *m)
{
	struct rfork_posix_answer answer;

	if (m->parent != m->image)
		rfork_posix_drop_parent(m);
	if (give_order(m, &answer) != 1) {
		m->parent = -1;
		rfork_posix_drop_image(m);
		return -ESRCH;
	}
	if (answer.what != POSIX_STARTED)
		return -EAGAIN;
	m->parent = m->image;
	m->self.pid = answer.pid;
	m->self.start_ns = answer.ns;
	m->self.flags = RFORK_WARM;
	return 0;
}
