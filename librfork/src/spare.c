/* SPDX-License-Identifier: MIT */
/*
 * What takes a restart's work off its path: the next instance is made ahead (the spare), and the dead one's memory is
 * freed afterwards (by ending its keeper). Both are done when the new instance has begun, in this order, so that
 * there are never more than two dead instances' memories.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "monitor.h"

#define SETTLE_NS RFORK_NSEC_PER_MSEC	/* the new instance has the CPU for so long */
#define FREEING_NICE 5		/* less than the new instance, but a restart may come to wait for it */
#define FIRST_PAUSE_NS (100 * RFORK_NSEC_PER_MSEC)
#define LAST_PAUSE_NS (5000 * RFORK_NSEC_PER_MSEC)

static void reap(pid_t pid)
{
	while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
}

static void end(pid_t pid)
{
	if (pid > 0) {
		kill(pid, SIGKILL);
		reap(pid);
	}
}

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

/* The spare begins. False: there is none, or it is dead, or stopped. */
bool rfork_spare_go(struct rfork_monitor *m)
{
	struct rfork_go go = {
		.generation = m->self.generation, .fail_ns = m->self.fail_ns,
		.cause = m->self.cause, .status = m->self.status,
	};

	int status;

	if (!m->spare.pid)
		return false;
	if (waitpid(m->spare.pid, &status, WNOHANG | WUNTRACED | __WALL) > 0) {
		if (!WIFSTOPPED(status))
			m->spare.pid = 0;	/* and perhaps another's by now */
		rfork_spare_drop(m);
		return false;
	}
	if (write(m->spare.go, &go, sizeof go) != sizeof go) {
		rfork_spare_drop(m);
		return false;
	}
	m->self.pid = m->spare.pid;
	m->self.flags = m->spare.flags;
	m->keeper = m->spare.keeper;
	m->spare.pid = m->spare.keeper = 0;
	rfork_spare_settle_after(m, 0);
	return true;
}

void rfork_spare_drop(struct rfork_monitor *m)
{
	pid_t pid = m->spare.pid, keeper = m->spare.keeper;

	rfork_wire_close(&m->spare.go);
	m->spare.pid = m->spare.keeper = 0;
	end(pid);
	end(keeper);
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

/* A spare, which may be the instance by now, says which task keeps its memory. */
void rfork_spare_keeper(struct rfork_monitor *m, pid_t sender, pid_t keeper)
{
	if (keeper <= 0 || waitpid(keeper, NULL, WNOHANG | __WALL) != 0)
		return;
	if (sender == m->spare.pid)
		m->spare.keeper = keeper;
	else if (sender == m->self.pid)
		m->keeper = keeper;
	else
		kill(keeper, SIGKILL);
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
		reap(m->late_keeper);
	m->late_keeper = 0;
	m->freeing = false;
}

void rfork_spare_instance_ended(struct rfork_monitor *m)
{
	rfork_spare_free_now(m);
	m->late_keeper = m->keeper;
	m->keeper = 0;
}

static void be_spare(struct rfork_monitor *m, int go)
{
	m->self.flags = 0;
	rfork_monitor_leave(m);
	rfork_spare_wait(&m->self, m->pid, SIGKILL, go);
	rfork_self_begin(&m->self);
	rfork_spare_forget_signals();
	rfork_signals_give_back();
}

static int open_pipe(int ends[2])
{
	if (pipe(ends) < 0)
		return -errno;
	ends[0] = rfork_wire_raise(ends[0]);
	ends[1] = rfork_wire_raise(ends[1]);
	if (ends[0] >= 0 && ends[1] >= 0)
		return 0;
	rfork_wire_close(&ends[0]);
	rfork_wire_close(&ends[1]);
	return -EMFILE;
}

/* 1: in the spare that has become the instance. */
static int make(struct rfork_monitor *m)
{
	int ends[2];
	pid_t pid = open_pipe(ends);

	if (pid < 0)
		return pid;
	m->spare.flags = RFORK_SPARE | (m->image.pid ? RFORK_WARM : 0);
	m->spare.go = ends[1];
	pid = m->image.pid ? rfork_image_start(m, ends[0]) : rfork_raw_fork(SIGCHLD);
	if (pid == 0) {
		be_spare(m, ends[0]);
		return 1;
	}
	close(ends[0]);
	if (pid > 0)
		m->spare.pid = pid;
	else
		rfork_wire_close(&m->spare.go);
	return pid < 0 ? pid : 0;
}

/* Where no process is to be had, there may be one later. */
static int make_or_pause(struct rfork_monitor *m)
{
	int rc = make(m);

	if (rc < 0) {
		m->pause_ns = m->pause_ns ? 2 * m->pause_ns : FIRST_PAUSE_NS;
		if (m->pause_ns > LAST_PAUSE_NS)
			m->pause_ns = LAST_PAUSE_NS;
		rfork_spare_settle_after(m, m->pause_ns);
	} else {
		m->pause_ns = 0;
	}
	return rc;
}

/* What a restart has put off, once the instance has begun. 1: in a spare that has become the instance. */
int rfork_spare_settle(struct rfork_monitor *m)
{
	if (!m->settle_at || rfork_now() < m->settle_at)
		return 0;
	rfork_monitor_notices(m);
	if (!m->started) {
		rfork_spare_settle_after(m, 0);
		return 0;
	}
	m->settle_at = 0;
	if (m->late_keeper) {
		free_late(m);	/* and on when it is gone */
		return 0;
	}
	if (m->spare.pid || m->stopping || m->options.flags & RFORK_NO_SPARE)
		return 0;
	rfork_wire_close(&m->spare.go);
	return make_or_pause(m);
}
