/* SPDX-License-Identifier: MIT */
/*
 * Events on their way to the owner. The monitor must never block on an owner that
 * does not read: what the socket cannot take waits here, and the oldest is dropped
 * (a gap in seq) rather than the newest.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include "monitor.h"

/* Part of the socket's room is kept back for the last events of a group, END above
 * all: the monitor cannot wait for a reader then. The kernel doubles the number. */
#define USUAL_ROOM 32768
#define LAST_ROOM 131072

void rfork_queue_limit(struct rfork_monitor *m)
{
	int room = USUAL_ROOM;

	setsockopt(m->owner_socket, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
}

struct rfork_event *rfork_queue_add(struct rfork_monitor *m, unsigned int type)
{
	struct rfork_queue *queue = &m->queue;
	struct rfork_event *event;

	if (!queue->count)
		queue->first = 0;	/* written before: no page is copied on the way of a restart */
	if (queue->count == RFORK_QUEUE) {
		queue->first = (queue->first + 1) % RFORK_QUEUE;
		queue->count--;
	}
	event = &queue->events[(queue->first + queue->count++) % RFORK_QUEUE];
	memset(event, 0, sizeof *event);
	event->seq = ++queue->seq;
	event->type = type;
	event->generation = m->self.generation;
	return event;
}

static int send_event(int socket, const struct rfork_event *event)
{
	ssize_t sent;

	do
		sent = send(socket, event, sizeof *event, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return -errno;
	return (size_t)sent == sizeof *event ? 0 : -EPROTO;
}

void rfork_queue_flush(struct rfork_monitor *m)
{
	struct rfork_queue *queue = &m->queue;

	while (queue->count && m->owner_socket >= 0) {
		int rc = send_event(m->owner_socket, &queue->events[queue->first]);

		if (rc == -EAGAIN || rc == -ENOBUFS || rc == -ENOMEM)
			return;
		if (rc < 0)
			rfork_wire_close(&m->owner_socket);
		queue->first = (queue->first + 1) % RFORK_QUEUE;
		queue->count--;
	}
}

void rfork_queue_finish(struct rfork_monitor *m)
{
	int room = LAST_ROOM;

	if (m->owner_socket < 0)
		return;
	setsockopt(m->owner_socket, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	rfork_queue_flush(m);
}
