/* SPDX-License-Identifier: MIT */
/*
 * The next instance while it waits (the spare), and the memory of the last one, which a task of its own keeps (its keeper): what
 * becomes of both. make.c makes the spare.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "monitor.h"

#define SETTLE_NS RFORK_NSEC_PER_MSEC	/* the new instance has the CPU for so long */
#define FREEING_NICE 5		/* less than the new instance, but a restart may come to wait for it */

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

void rfork_control_close(struct rfork_control *control)
{
	rfork_wire_close(&control->ours);
	rfork_wire_close(&control->theirs);
}

/* Closed later: that takes its time, and this is on the way of a restart. */
static void take_control(struct rfork_monitor *m)
{
	if (m->spare.control.ours < 0)
		return;
	m->stale = m->control;
	m->control = m->spare.control;
	m->self.control_inode = m->control.inode;
	m->spare.control.ours = m->spare.control.theirs = -1;
}

/* It is the instance now; if it has died this very moment, then that is the instance's end. */
void rfork_spare_take(struct rfork_monitor *m)
{
	m->self.pid = m->spare.pid;
	m->self.flags = m->spare.flags;
	m->self.start_ns = rfork_now();
	m->keeper = m->spare.keeper;
	m->spare.pid = m->spare.keeper = 0;
	take_control(m);
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
	rfork_control_close(&m->spare.control);
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
		rfork_spare_settle_after(m, RFORK_FIRST_PAUSE_NS);
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

/* It is gone when rfork_spare_reaped() has seen it. */
void rfork_spare_free_late(struct rfork_monitor *m)
{
	if (m->late_keeper && !m->freeing) {
		setpriority(PRIO_PROCESS, (id_t)m->late_keeper, FREEING_NICE);
		kill(m->late_keeper, SIGKILL);
	}
	m->freeing = m->late_keeper;
}

void rfork_spare_free_now(struct rfork_monitor *m)
{
	rfork_spare_free_late(m);
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
