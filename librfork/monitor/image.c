/* SPDX-License-Identifier: MIT */
/* A checkpoint's image as the monitor has it: a sleeping child that forks instances. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "monitor.h"

#define ANSWER_MS 2000

void rfork_image_drop(struct rfork_monitor *m, bool dead)
{
	if (!m->image.pid)
		return;
	rfork_wire_close(&m->image.socket);
	if (!dead)
		rfork_child_end(m->image.pid);
	m->image.pid = 0;
	rfork_spare_drop(m);
	rfork_spare_settle_after(m, 0);
}

static void announce(struct rfork_monitor *m)
{
	struct rfork_event *event = rfork_queue_add(m, RFORK_EV_CHECKPOINT);

	event->old_pid = m->self.pid;
	event->fail_ns = event->start_ns = rfork_now();
	rfork_queue_flush(m);
}

/* The socket, out of the way, or -errno. */
static int accept_holder(const struct rfork_monitor *m, const struct rfork_packet *packet, pid_t holder)
{
	if (rfork_child_check(m, holder) < 0)
		return -ECHILD;
	return rfork_wire_is_pair(packet->fds[0], packet->sender) ? rfork_wire_raise(packet->fds[0]) : -EINVAL;
}

/* The notice brings the holder's socket and one for our reply. The event leaves before
 * the reply, so that nothing that the instance does next can overtake it. */
void rfork_image_take(struct rfork_monitor *m, struct rfork_packet *packet, pid_t holder)
{
	bool forbidden = m->options.flags & RFORK_NO_CHECKPOINT;
	int raised = forbidden ? -EPERM : accept_holder(m, packet, holder);
	int32_t error = raised < 0 ? raised : 0;

	if (error) {
		rfork_wire_discard(packet->fds[0]);	/* the holder ends: nobody else has its socket */
	} else {
		rfork_image_drop(m, false);
		m->image.pid = holder;
		m->image.socket = raised;
		rfork_spare_drop(m);	/* it has the image of before */
		rfork_spare_settle_after(m, 0);
		announce(m);
	}
	if (rfork_wire_is_pair(packet->fds[1], packet->sender))
		send(packet->fds[1], &error, sizeof error, MSG_NOSIGNAL | MSG_DONTWAIT);
	rfork_wire_discard(packet->fds[1]);
}

static pid_t answer(const struct rfork_monitor *m, int timeout_ms)
{
	struct pollfd waiting = { .fd = m->image.socket, .events = POLLIN };
	int32_t pid;
	struct rfork_packet packet = { .data = &pid, .size = sizeof pid };
	int rc;

	if (poll(&waiting, 1, timeout_ms) <= 0)
		return -ETIMEDOUT;
	if (rfork_wire_receive(m->image.socket, &packet, MSG_DONTWAIT) != 1)
		return -EPIPE;
	rfork_wire_discard_all(&packet);
	if (pid < 0)
		return -EAGAIN;		/* the holder could not fork */
	rc = rfork_child_check(m, pid);
	return rc == 0 ? pid : rc == -ESRCH ? -EAGAIN : -EPIPE;
}

/* The PID of a new instance of the image that waits for its turn at that end of a pipe; or -errno. */
pid_t rfork_image_start(struct rfork_monitor *m, int turn, uint32_t how)
{
	struct rfork_order order = { .how = how };
	struct rfork_packet packet = { .data = &order, .size = sizeof order, .fds = { turn }, .fd_count = 1 };
	pid_t pid = rfork_wire_send(m->image.socket, &packet, MSG_DONTWAIT);

	if (pid == 0)
		pid = answer(m, ANSWER_MS);
	if (pid == -ETIMEDOUT) {
		/* A holder that somebody has stopped. Once it is dead, it has either
		 * answered or, but for the moment between its clone and its answer,
		 * started nothing; a straggler goes when its pipe is closed. */
		rfork_child_end(m->image.pid);
		pid = answer(m, 0);
		rfork_image_drop(m, true);
	} else if (pid == -EPIPE) {
		rfork_image_drop(m, false);
	}
	return pid;
}
