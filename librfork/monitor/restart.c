/* SPDX-License-Identifier: MIT */
/* Starting an instance, and what follows when it has ended. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "monitor.h"

#define FIRST_RETRY_MS 5
#define LAST_RETRY_MS 640

void rfork_monitor_reap(struct rfork_monitor *m)
{
	while (m->unreaped && waitpid(m->unreaped, NULL, __WALL) < 0 && errno == EINTR)
		;
	m->unreaped = 0;
}

/* No process to be had may pass; an operator's stop is heard meanwhile. Of the first instance the caller is told at once. */
static int make_patiently(struct rfork_monitor *m)
{
	int rc = rfork_make_waiting(m, !m->self.generation);

	for (long ms = FIRST_RETRY_MS; rc < 0 && m->self.generation && ms <= LAST_RETRY_MS; ms *= 2) {
		struct timespec pause = { .tv_nsec = ms * 1000000 };

		nanosleep(&pause, NULL);
		rfork_monitor_commands(m);
		if (m->stopping)
			return rc;
		rc = rfork_make_waiting(m, false);
	}
	return rc;
}

static void tell_restart(struct rfork_monitor *m)
{
	struct rfork_event *event = rfork_queue_add(m, RFORK_EV_RESTART);

	event->cause = m->self.cause;
	event->status = m->self.status;
	event->old_pid = m->old_pid;
	event->new_pid = m->self.pid;
	event->flags = m->self.flags;
	event->fail_ns = m->self.fail_ns;
	event->start_ns = m->self.start_ns;
	rfork_queue_flush(m);
}

static void tell_parent(struct rfork_monitor *m)
{
	if (m->options.exit_signal > 0 && getppid() == m->owner)
		kill(m->owner, m->options.exit_signal);
}

/* 1: in the instance; 0: in the monitor; -errno: there is none. The owner is told before the instance runs. */
int rfork_monitor_spawn(struct rfork_monitor *m)
{
	int rc;

	m->kick = 0;
	if (!rfork_spare_is_ready(m)) {
		rfork_monitor_reap(m);	/* its place may be wanted */
		rfork_spare_free_now(m);	/* or memory runs out */
		rc = make_patiently(m);
		if (rc)
			return rc;
	}
	rfork_spare_take(m);
	if (m->self.generation)
		tell_restart(m);
	rfork_spare_go(m);
	if (m->self.generation)
		tell_parent(m);
	return 0;
}

/* As the instance ended, so that wait(2) on the monitor means what it says. */
static _Noreturn void exit_like(int status)
{
	struct rlimit none = { 0, 0 };
	sigset_t only;

	if (WIFSIGNALED(status)) {
		setrlimit(RLIMIT_CORE, &none);
		signal(WTERMSIG(status), SIG_DFL);
		sigemptyset(&only);
		sigaddset(&only, WTERMSIG(status));
		sigprocmask(SIG_UNBLOCK, &only, NULL);
		kill(getpid(), WTERMSIG(status));
	}
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 127);
}

_Noreturn void rfork_monitor_finish(struct rfork_monitor *m, unsigned int reason, unsigned int cause, int status)
{
	struct rfork_event *event;

	rfork_monitor_reap(m);
	rfork_image_drop(m, false);
	rfork_spare_drop(m);
	rfork_spare_free_now(m);
	event = rfork_queue_add(m, RFORK_EV_END);
	event->cause = cause;
	event->status = status;
	event->old_pid = m->old_pid;
	event->flags = m->self.flags;
	event->fail_ns = m->self.fail_ns;
	event->start_ns = m->self.start_ns;
	event->reason = reason;
	rfork_queue_finish(m);
	exit_like(status);
}

/* The owner is gone, and with it whoever could be told. */
_Noreturn void rfork_monitor_abandon(struct rfork_monitor *m)
{
	rfork_wire_close(&m->owner_socket);
	rfork_child_end(m->self.pid);
	rfork_image_drop(m, false);
	rfork_spare_drop(m);
	_exit(0);
}

static unsigned int reason_to_end(struct rfork_monitor *m, unsigned int cause, uint64_t lived_ns)
{
	if (m->stopping)
		return RFORK_END_STOP;
	if (!rfork_restarts_on(cause, m->options.flags))
		return RFORK_END_EXIT;
	if (m->self.flags & RFORK_WARM && rfork_is_crash(cause) &&
	    lived_ns < m->options.probation_ms * RFORK_NSEC_PER_MSEC)
		return RFORK_END_POISONED;
	if (cause != RFORK_CAUSE_OPERATOR && !rfork_bucket_take(&m->bucket, m->self.fail_ns))
		return RFORK_END_BURST;
	return 0;
}

/* A SIGKILL that nobody ordered is the OOM killer's as likely as not: kept memory would make it take the next one too. */
static bool may_be_out_of_memory(const struct rfork_monitor *m, int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && !m->kick;
}

/* The instance has ended, and has been reaped or will be. True: this is the next instance. */
bool rfork_monitor_ended(struct rfork_monitor *m, int status)
{
	uint64_t now = rfork_now();
	unsigned int cause, reason;
	int rc;

	/* What it said, and what the owner wanted, before it ended. Its PID may be
	 * another's by now. */
	if (m->notice_waits)
		rfork_notices_heed_last(m);
	m->old_pid = m->self.pid;
	m->self.pid = 0;
	rfork_spare_instance_ended(m);
	if (may_be_out_of_memory(m, status))
		rfork_spare_free_now(m);
	if (m->owner_waits)
		rfork_monitor_commands(m);
	cause = m->kick ? m->kick : rfork_classify(status, m->options.restart_status);
	m->self.fail_ns = now;
	reason = reason_to_end(m, cause, now - m->self.start_ns);
	if (reason)
		rfork_monitor_finish(m, reason, cause, status);
	m->self.cause = cause;
	m->self.status = status;
	m->self.generation++;
	rc = rfork_monitor_spawn(m);
	if (rc == 1)
		return true;
	if (rc < 0) {
		m->self.generation--;
		rfork_monitor_finish(m, m->stopping ? RFORK_END_STOP : RFORK_END_NO_IMAGE, cause, status);
	}
	return false;
}
