/* SPDX-License-Identifier: MIT */
/*
 * Notices of instances and keepers. Any process that has inherited the control socket can send there, as often as it likes and
 * whatever it likes: so the monitor reads a number of notices in one turn of its loop, and a number of them in a time.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "monitor.h"

#define AT_ONCE 16
#define LAST 64			/* from an instance that has ended */
#define MOST 512		/* in one span; whoever sends more waits for the next */
#define SPAN_NS (100 * RFORK_NSEC_PER_MSEC)

/*
 * Our end tells who sends, the instances' end survives an exec. An instance can make its end useless, by shutdown(2) or by
 * connect(2) to another address: so the next one that begins at the program's start has a socket of its own.
 */
int rfork_control_open(struct rfork_control *control)
{
	struct stat st;
	int pair[2], on = 1;
	int rc = rfork_wire_pair(SOCK_DGRAM, pair);

	if (rc < 0)
		return rc;
	control->ours = rfork_wire_raise(pair[0]);
	control->theirs = rfork_wire_raise(pair[1]);
	if (control->ours < 0)
		close(pair[0]);
	if (control->theirs < 0)
		close(pair[1]);
	if (control->ours < 0 || control->theirs < 0)
		return -EMFILE;
	if (setsockopt(control->ours, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0 || fstat(control->theirs, &st) < 0)
		return -errno;
	control->inode = st.st_ino;
	fcntl(control->theirs, F_SETFD, 0);
	return 0;
}

/* A notice counts only if the instance itself, or a keeper, sent it: the kernel says who did. */
static void heed(struct rfork_monitor *m, const struct rfork_notice *notice, struct rfork_packet *packet)
{
	bool current = packet->sender == m->self.pid && m->self.pid;

	if (notice->type == RFORK_NOTICE_CHECKPOINT && current && packet->fd_count == 2) {
		rfork_image_take(m, packet, notice->pid);
		packet->fd_count = 0;
	} else if (notice->type == RFORK_NOTICE_KEEPER) {
		rfork_spare_keeper(m, packet->sender, notice->pid);
	}
	rfork_wire_discard_all(packet);
}

/* An empty message counts as malformed: on a datagram socket it does not mean the end of the file. */
static bool receive_from(struct rfork_monitor *m, int socket, struct rfork_notice *notice)
{
	struct rfork_packet packet = { .data = notice, .size = sizeof *notice };
	int rc = rfork_wire_receive(socket, &packet, MSG_DONTWAIT);

	if (rc == 1)
		heed(m, notice, &packet);
	return rc >= 0 || rc == -EPROTO;
}

/* First from the socket that the instance does not have. */
static bool receive(struct rfork_monitor *m, struct rfork_notice *notice)
{
	return (m->spare.control.ours >= 0 && receive_from(m, m->spare.control.ours, notice)) ||
	       receive_from(m, m->control.ours, notice);
}

static void count_notice(struct rfork_monitor *m)
{
	uint64_t now = rfork_now();

	if (now - m->notices_since > SPAN_NS) {
		m->notices_since = now;
		m->notices = 0;
	}
	m->notices++;
}

bool rfork_notices_too_many(const struct rfork_monitor *m)
{
	return m->notices >= MOST && rfork_now() - m->notices_since <= SPAN_NS;
}

/* One checkpoint at a time: it can take as long as the ends of an image and a spare. */
void rfork_notices_heed(struct rfork_monitor *m)
{
	struct rfork_notice notice = { 0 };

	m->notice_waits = false;
	if (rfork_notices_too_many(m))
		return;
	for (int i = 0; i < AT_ONCE && notice.type != RFORK_NOTICE_CHECKPOINT && receive(m, &notice); i++)
		count_notice(m);
}

/* All that the instance sent before it ended. */
void rfork_notices_heed_last(struct rfork_monitor *m)
{
	struct rfork_notice notice;

	m->notice_waits = false;
	for (int i = 0; i < LAST && receive(m, &notice); i++)
		;
}
