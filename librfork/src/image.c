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
	if (!dead) {
		kill(m->image.pid, SIGKILL);
		while (waitpid(m->image.pid, NULL, __WALL) < 0 && errno == EINTR)
			;
	}
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

/* The notice brings the holder's socket and one for our reply. The event leaves before
 * the reply, so that nothing that the instance does next can overtake it. */
void rfork_image_take(struct rfork_monitor *m, struct rfork_packet *packet, pid_t holder)
{
	int32_t error = 0;
	int raised;

	if (waitpid(holder, NULL, WNOHANG | __WALL) != 0) {
		error = -ECHILD;
		close(packet->fds[0]);
	} else {
		raised = rfork_wire_raise(packet->fds[0]);
		if (raised < 0)
			close(packet->fds[0]);	/* the holder ends: nobody else has its socket */
		error = raised < 0 ? raised : 0;
		if (!error) {
			rfork_image_drop(m, false);
			m->image.pid = holder;
			m->image.socket = raised;
			rfork_spare_drop(m);	/* it has the image of before */
			rfork_spare_settle_after(m, 0);
			announce(m);
		}
	}
	send(packet->fds[1], &error, sizeof error, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(packet->fds[1]);
}

static pid_t answer(int socket, int timeout_ms)
{
	struct pollfd waiting = { .fd = socket, .events = POLLIN };
	int32_t pid;
	struct rfork_packet packet = { .data = &pid, .size = sizeof pid };

	if (poll(&waiting, 1, timeout_ms) <= 0)
		return -ETIMEDOUT;
	return rfork_wire_receive(socket, &packet, MSG_DONTWAIT) == 1 ? pid : -EPIPE;
}

/* The PID of a new instance of the image that waits for its turn at that end of a pipe; or -errno. */
pid_t rfork_image_start(struct rfork_monitor *m, int turn, uint32_t how)
{
	struct rfork_order order = { .how = how };
	struct rfork_packet packet = { .data = &order, .size = sizeof order, .fds = { turn }, .fd_count = 1 };
	pid_t pid = rfork_wire_send(m->image.socket, &packet, MSG_DONTWAIT);

	if (pid == 0)
		pid = answer(m->image.socket, ANSWER_MS);
	if (pid == -ETIMEDOUT) {
		/* A holder that somebody has stopped. Once it is dead, it has either
		 * answered or, but for the moment between its clone and its answer,
		 * started nothing; a straggler goes when its pipe is closed. */
		kill(m->image.pid, SIGKILL);
		while (waitpid(m->image.pid, NULL, __WALL) < 0 && errno == EINTR)
			;
		pid = answer(m->image.socket, 0);
		rfork_image_drop(m, true);
	} else if (pid == -EPIPE) {
		rfork_image_drop(m, false);
	}
	return pid;
}
