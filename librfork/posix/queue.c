/* SPDX-License-Identifier: MIT */
/*
 * Events on their way to the owner. The monitor must never block on an owner that does not read: what the socket cannot take
 * waits here, and the oldest is dropped (a gap in seq) rather than the newest.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include "monitor.h"

#define LAST_ROOM 131072	/* of the socket, for the events that are left when the group ends */
#define LAST_MS 1000

struct rfork_event *rfork_posix_queue_add(struct rfork_posix_monitor *m, unsigned int type)
{
	struct rfork_posix_queue *queue = &m->queue;
	struct rfork_event *event;

	if (queue->count == POSIX_QUEUE) {
		queue->first = (queue->first + 1) % POSIX_QUEUE;
		queue->count--;
	}
	event = &queue->events[(queue->first + queue->count++) % POSIX_QUEUE];
	memset(event, 0, sizeof *event);
	event->seq = ++queue->seq;
	event->type = type;
	event->generation = m->self.generation;
	return event;
}

void rfork_posix_queue_flush(struct rfork_posix_monitor *m)
{
	struct rfork_posix_queue *queue = &m->queue;

	while (queue->count && m->owner_socket >= 0) {
		int rc = rfork_posix_send(m->owner_socket, &queue->events[queue->first], sizeof *queue->events, NULL, 0);

		if (rc == -EAGAIN || rc == -EWOULDBLOCK || rc == -ENOBUFS || rc == -ENOMEM)
			return;
		if (rc < 0)
			rfork_posix_close(&m->owner_socket);
		queue->first = (queue->first + 1) % POSIX_QUEUE;
		queue->count--;
	}
}

/* END must reach the reader. The socket takes all that is left, or the reader gets a second to make room. */
void rfork_posix_queue_finish(struct rfork_posix_monitor *m)
{
	struct pollfd room = { .fd = m->owner_socket, .events = POLLOUT };
	int wanted = LAST_ROOM;

	if (m->owner_socket < 0)
		return;
	setsockopt(m->owner_socket, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof wanted);
	rfork_posix_queue_flush(m);
	while (m->queue.count && m->owner_socket >= 0 && poll(&room, 1, LAST_MS) == 1)
		rfork_posix_queue_flush(m);
}
