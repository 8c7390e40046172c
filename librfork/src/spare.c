/* SPDX-License-Identifier: MIT */
/*
 * What takes a restart's work off its path: the next instance is made ahead (the spare), and the dead one's memory is
 * freed afterwards (by ending its keeper). Both are done when the new instance has begun, in this order, so that
 * there are never more than two dead instances' memories.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "monitor.h"

#define SETTLE_NS RFORK_NSEC_PER_MSEC	/* the new instance has the CPU for so long */
#define FREEING_NICE 5		/* less than the new instance, but a restart may come to wait for it */
#define FIRST_PAUSE_NS (100 * RFORK_NSEC_PER_MSEC)
#define LAST_PAUSE_NS (5000 * RFORK_NSEC_PER_MSEC)

/* 0: as soon as the new instance has begun. */
void rfork_spare_settle_after(struct rfork_monitor *m, uint64_t ns)
{
	m->settle_at = rfork_now() + (ns ? ns : SETTLE_NS);
}

/* For poll(2). */
int rfork_spare_timeout(const struct rfork_monitor *m)
{
	uint64_t now;

	if (!m->settle_at)
		return -1;
	now = rfork_now();
	return now >= m->settle_at ? 0 : (int)((m->settle_at - now + RFORK_NSEC_PER_MSEC - 1) / RFORK_NSEC_PER_MSEC);
}

/* Not where it is dead, or stopped. On the short way, with nothing heard but of the instance's end, a look at its pipe will do. */
bool rfork_spare_is_ready(struct rfork_monitor *m)
{
	int status;

	if (!m->spare.pid)
		return false;
	if (m->spare_gone) {
		rfork_spare_drop(m);
		return false;
	}
	if (m->unreaped)
		return true;
	if (waitpid(m->spare.pid, &status, WNOHANG | WUNTRACED | __WALL) <= 0)
		return true;
	if (!WIFSTOPPED(status))
		m->spare.pid = 0;	/* and perhaps another's by now */
	rfork_spare_drop(m);
	return false;
}

/* It is the instance now; if it has died this very moment, then that is the instance's end. */
void rfork_spare_take(struct rfork_monitor *m)
{
	m->self.pid = m->spare.pid;
	m->self.flags = m->spare.flags;
	m->self.start_ns = rfork_now();
	m->keeper = m->spare.keeper;
	m->spare.pid = m->spare.keeper = 0;
}

/* And may run. */
void rfork_spare_go(struct rfork_monitor *m)
{
	struct rfork_go go = {
		.generation = m->self.generation, .fail_ns = m->self.fail_ns, .start_ns = m->self.start_ns,
		.cause = m->self.cause, .flags = m->self.flags, .status = m->self.status,
	};
	ssize_t written = write(m->spare.go, &go, sizeof go);

	(void)written;		/* it is dead, and will be reaped */
	sched_yield();		/* with one CPU it is the new instance's turn, not ours */
	rfork_spare_settle_after(m, 0);
}

void rfork_spare_drop(struct rfork_monitor *m)
{
	pid_t pid = m->spare.pid, keeper = m->spare.keeper;

	rfork_wire_close(&m->spare.go);
	m->spare.pid = m->spare.keeper = 0;
	rfork_child_end(pid);
	rfork_child_end(keeper);
}

/* A child that is neither the instance nor the image. */
void rfork_spare_reaped(struct rfork_monitor *m, pid_t pid)
{
	if (pid == m->late_keeper) {
		m->late_keeper = 0;
		m->freeing = false;
		m->settle_at = rfork_now();
	} else if (pid == m->keeper) {
		m->keeper = 0;
	} else if (pid == m->spare.keeper) {
		m->spare.keeper = 0;
	} else if (pid == m->spare.pid) {
		m->spare.pid = 0;
		rfork_spare_drop(m);
		rfork_spare_settle_after(m, FIRST_PAUSE_NS);
	}
}

/* A keeper says whose memory it keeps: the spare's, which may be the instance by now. */
void rfork_spare_keeper(struct rfork_monitor *m, pid_t keeper, pid_t whose)
{
	if (rfork_child_check(m, keeper) < 0)
		return;
	if (whose && whose == m->spare.pid && !m->spare.keeper) {
		m->spare.keeper = keeper;
	} else if (whose && whose == m->self.pid && !m->keeper) {
		m->keeper = keeper;
	} else {
		kill(keeper, SIGKILL);
	}
}

static void free_late(struct rfork_monitor *m)
{
	if (m->late_keeper && !m->freeing) {
		setpriority(PRIO_PROCESS, (id_t)m->late_keeper, FREEING_NICE);
		kill(m->late_keeper, SIGKILL);
	}
	m->freeing = m->late_keeper;
}

void rfork_spare_free_now(struct rfork_monitor *m)
{
	free_late(m);
	if (m->late_keeper)
		rfork_child_reap(m->late_keeper);
	m->late_keeper = 0;
	m->freeing = false;
}

void rfork_spare_instance_ended(struct rfork_monitor *m)
{
	rfork_spare_free_now(m);
	m->late_keeper = m->keeper;
	m->keeper = 0;
}

/* What is the monitor's goes. */
static void leave(struct rfork_monitor *m)
{
	rfork_wire_close(&m->owner_socket);
	rfork_wire_close(&m->control);
	rfork_wire_close(&m->signals);
	rfork_wire_close(&m->image.socket);
	rfork_wire_close(&m->spare.go);
}

static void be_instance(struct rfork_monitor *m, int turn[2], uint32_t how)
{
	leave(m);
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
	pid = warm ? rfork_image_start(m, turn[0], how) : rfork_raw_fork(SIGCHLD);
	if (pid == 0) {
		be_instance(m, turn, how);
		return 1;
	}
	close(turn[0]);
	if (pid < 0) {
		close(turn[1]);
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
int rfork_spare_make(struct rfork_monitor *m, bool ahead)
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
	int rc = rfork_spare_make(m, true);

	if (rc == 0) {
		write_pages(m);
		m->spare.flags |= RFORK_SPARE;
		m->pause_ns = 0;
	} else if (rc < 0) {
		m->pause_ns = m->pause_ns ? 2 * m->pause_ns : FIRST_PAUSE_NS;
		if (m->pause_ns > LAST_PAUSE_NS)
			m->pause_ns = LAST_PAUSE_NS;
		rfork_spare_settle_after(m, m->pause_ns);
	}
	return rc;
}

/* What a restart has put off, once the instance has begun. 1: in a spare that has become the instance. */
int rfork_spare_settle(struct rfork_monitor *m)
{
	if (!m->settle_at || rfork_now() < m->settle_at)
		return 0;
	m->settle_at = 0;
	if (m->late_keeper) {
		free_late(m);	/* and on when it is gone */
		return 0;
	}
	if (m->spare.pid || m->stopping || m->options.flags & RFORK_NO_SPARE)
		return 0;
	return make_or_pause(m);
}
