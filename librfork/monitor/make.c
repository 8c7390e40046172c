/* SPDX-License-Identifier: MIT */
/*
 * What takes a restart's work off its path: the next instance is made ahead (the spare), and the dead one's memory is
 * freed afterwards (by ending its keeper). Both are done when the new instance has begun, in this order, so that
 * there are never more than two dead instances' memories.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "monitor.h"

#define LAST_PAUSE_NS (5000 * RFORK_NSEC_PER_MSEC)

/* What is the monitor's goes. */
static void leave(struct rfork_monitor *m)
{
	rfork_wire_close(&m->owner_socket);
	rfork_wire_close(&m->control.ours);
	rfork_wire_close(&m->spare.control.ours);
	rfork_control_close(&m->stale);
	rfork_wire_close(&m->signals);
	rfork_wire_close(&m->image.socket);
	rfork_wire_close(&m->spare.go);
}

/* In an instance: its end of the socket, under the same number in all instances. */
static void keep_control(struct rfork_monitor *m)
{
	struct rfork_control *kept = m->spare.control.theirs >= 0 ? &m->spare.control : &m->control;

	if (kept == &m->spare.control)
		rfork_wire_close(&m->control.theirs);
	if (kept->theirs != m->number) {
		dup2(kept->theirs, m->number);
		close(kept->theirs);
	}
	m->self.control = m->number;
	m->self.control_inode = kept->inode;
}

static void be_instance(struct rfork_monitor *m, int turn[2], uint32_t how)
{
	leave(m);
	keep_control(m);
	close(turn[1]);
	rfork_self_wait_turn(&m->self, m->pid, SIGKILL, turn[0], how);
	rfork_signals_give_back();
}

/* Our end never blocks: who reads could fill it. */
static int open_pipe(int ends[2])
{
	if (pipe(ends) < 0)
		return -errno;
	for (int i = 0; i < 2; i++)
		fcntl(ends[i], F_SETFD, FD_CLOEXEC);
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	return 0;
}

/* 1: in it, once it is the instance; 0: in the monitor; -errno. */
static int clone_waiting(struct rfork_monitor *m, bool warm, bool ahead)
{
	uint32_t how = ahead ? RFORK_ORDER_AHEAD : 0;
	int turn[2];
	pid_t pid = open_pipe(turn);

	if (pid < 0)
		return pid;
	/* One that is not ahead is in a hurry, and what is cloned of an image has the image's. */
	if (!warm && ahead && m->self.pid && rfork_control_open(&m->spare.control) < 0)
		rfork_control_close(&m->spare.control);
	pid = warm ? rfork_image_start(m, turn[0], how) : rfork_raw_fork(SIGCHLD);
	if (pid == 0) {
		be_instance(m, turn, how);
		return 1;
	}
	close(turn[0]);
	if (pid < 0) {
		close(turn[1]);
		rfork_control_close(&m->spare.control);
		return pid;
	}
	rfork_wire_close(&m->spare.go);
	m->spare.pid = pid;
	m->spare.go = turn[1];
	m->spare_gone = false;
	m->spare.flags = warm ? RFORK_WARM : 0;
	return 0;
}

/* The next instance, of the image if there is one; without delay a cold one is better than none. */
int rfork_make_waiting(struct rfork_monitor *m, bool ahead)
{
	int rc = m->image.pid ? clone_waiting(m, true, ahead) : -ENOENT;

	if (rc < 0 && (!ahead || !m->image.pid))
		rc = clone_waiting(m, false, ahead);
	return rc;
}

static void rewrite(void *at)
{
	volatile char *byte = at;

	*byte = *byte;
}

/* What the next restart writes: a page that is shared with the spare would be copied then. */
static void write_pages(struct rfork_monitor *m)
{
	rewrite(m);
	rewrite(&m->queue.events[0]);
	rewrite(&m->queue.events[1]);
	rewrite(&m->queue.seq);
	rewrite(&m->kick);
}

/* Where no process is to be had, there may be one later. */
static int make_or_pause(struct rfork_monitor *m)
{
	int rc = rfork_make_waiting(m, true);

	if (rc == 0) {
		write_pages(m);
		m->spare.flags |= RFORK_SPARE;
		m->pause_ns = 0;
	} else if (rc < 0) {
		m->pause_ns = m->pause_ns ? 2 * m->pause_ns : RFORK_FIRST_PAUSE_NS;
		if (m->pause_ns > LAST_PAUSE_NS)
			m->pause_ns = LAST_PAUSE_NS;
		rfork_spare_settle_after(m, m->pause_ns);
	}
	return rc;
}

/* Its number stays taken: in the next instance nothing else may have it. */
static void drop_stale_control(struct rfork_monitor *m)
{
	if (m->stale.ours < 0)
		return;
	dup2(m->control.theirs, m->number);
	close(m->control.theirs);
	m->control.theirs = m->number;
	m->stale.theirs = -1;
	rfork_control_close(&m->stale);
}

/* What a restart has put off, once the instance has begun. 1: in a spare that has become the instance. */
int rfork_make_settle(struct rfork_monitor *m)
{
	if (!m->settle_at || rfork_now() < m->settle_at)
		return 0;
	m->settle_at = 0;
	drop_stale_control(m);
	if (m->late_keeper) {
		rfork_spare_free_late(m);	/* and on when it is gone */
		return 0;
	}
	if (m->spare.pid || m->stopping || m->options.flags & RFORK_NO_SPARE)
		return 0;
	return make_or_pause(m);
}
