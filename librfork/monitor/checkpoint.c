/* SPDX-License-Identifier: MIT */
/*
 * A restart point that moves, at the user level. The instance clones a holder of its
 * image, as a sibling (CLONE_PARENT), so that the holder and what it forks later are
 * the monitor's children as the instance itself is. The holder sleeps in recvmsg(2) with
 * every signal blocked; each new instance is a clone of it, made the same way. All of this
 * happens inside fork(3), which then runs the handlers that each of them is due (atfork.c).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "instance.h"

struct channels {
	int order[2];	/* monitor's end, holder's end */
	int reply[2];	/* instance's end, monitor's end */
};

struct restart_point {
	struct channels channels;
	pid_t monitor;
	int death_signal;
	int64_t generation;	/* of the instance that began here; in the caller 0 */
};

static void close_pair(int pair[2])
{
	rfork_wire_close(&pair[0]);
	rfork_wire_close(&pair[1]);
}

static int open_channels(struct channels *channels)
{
	int rc = rfork_wire_pair(SOCK_STREAM, channels->order);

	if (rc < 0)
		return rc;
	rc = rfork_wire_pair(SOCK_STREAM, channels->reply);
	if (rc < 0)
		close_pair(channels->order);
	return rc;
}

/* In a new instance. */
static long begin(struct restart_point *point, int turn, uint32_t order)
{
	struct rfork_self now = *rfork_self_inherited();

	rfork_wire_close(&point->channels.order[1]);
	rfork_in_fork_child();
	rfork_self_wait_turn(&now, point->monitor, point->death_signal, turn, order);
	point->generation = (int64_t)now.generation;
	return 0;
}

/* The holder's life. Returns in the instances that it makes. */
static long hold(struct restart_point *point)
{
	struct rfork_order order;
	struct rfork_packet in = { .data = &order, .size = sizeof order };
	int32_t pid;
	struct rfork_packet out = { .data = &pid, .size = sizeof pid };

	rfork_wire_close(&point->channels.order[0]);
	close_pair(point->channels.reply);
	while (rfork_wire_receive(point->channels.order[1], &in, 0) == 1) {
		pid = rfork_raw_fork(CLONE_PARENT | SIGCHLD);
		if (pid == 0)
			return begin(point, in.fds[0], order.how);
		close(in.fds[0]);
		rfork_wire_send(point->channels.order[1], &out, 0);
	}
	_exit(0);	/* the monitor has let go of this image */
}

/* The monitor has the holder once this returns 0: a crash from then on is warm. */
static int hand_over(struct channels *channels, pid_t holder)
{
	struct rfork_notice notice = { .type = RFORK_NOTICE_CHECKPOINT, .pid = holder };
	struct rfork_packet out = {
		.data = &notice, .size = sizeof notice,
		.fds = { channels->order[0], channels->reply[1] }, .fd_count = 2,
	};
	int32_t error;
	struct rfork_packet in = { .data = &error, .size = sizeof error };
	int rc = rfork_wire_send(rfork_self_control(), &out, 0);

	rfork_wire_close(&channels->order[0]);
	rfork_wire_close(&channels->reply[1]);
	if (rc < 0)
		return rc;
	rc = rfork_wire_receive(channels->reply[0], &in, 0);
	return rc == 1 ? error : rc < 0 ? rc : -ESRCH;
}

/* In the place of the call with which fork(3) makes a process, and with its result. */
static long make_holder(void *pointer)
{
	struct restart_point *point = pointer;
	pid_t holder;
	int rc;

	rfork_self_hide();	/* before: at no time can another process change the holder */
	holder = rfork_raw_fork(CLONE_PARENT | SIGCHLD);
	if (holder == 0)
		return hold(point);
	rfork_self_show();
	rc = holder < 0 ? holder : hand_over(&point->channels, holder);
	return rc < 0 ? rc : holder;
}

int64_t rfork_user_checkpoint(bool without_handlers)
{
	struct restart_point point = { .monitor = getppid() };
	long rc;

	if (rfork_self_control() < 0 || prctl(PR_GET_PDEATHSIG, &point.death_signal) < 0)
		return -ESRCH;
	if (rfork_self_prepare() < 0)
		return -ENOMEM;
	rfork_self_set(rfork_self());
	rc = open_channels(&point.channels);
	if (rc < 0)
		return rc;
	rc = rfork_in_fork(make_holder, &point, without_handlers);
	if (rc == 0)
		return point.generation;
	close_pair(point.channels.order);
	close_pair(point.channels.reply);
	return rc < 0 ? rc : 0;
}
