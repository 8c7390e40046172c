/* SPDX-License-Identifier: MIT */
/* Starting an instance, and the decision when it has ended. */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "monitor.h"

#define FIRST_RETRY_MS 5
#define LAST_RETRY_MS 640

static void leave(struct rfork_posix_monitor *m)
{
	rfork_posix_drop_parent(m);
	rfork_posix_drop_image(m);
	rfork_posix_close(&m->owner_socket);
	rfork_posix_close(&m->control);
	rfork_posix_watch_leave(&m->watch);
}

/* 1: in the instance; 0: in the monitor; -errno. */
static int start_cold(struct rfork_posix_monitor *m)
{
	pid_t pid;

	rfork_posix_drop_parent(m);
	m->self.flags = 0;
	m->self.parent = getpid();
	pid = rfork_posix_watch_spawn(&m->watch, &m->self.start_ns);
	if (pid < 0)
		return pid;
	m->self.pid = pid ? pid : getpid();
	if (pid)
		return 0;
	leave(m);
	rfork_posix_self_set(&m->self);
	return 1;
}

static int start(struct rfork_posix_monitor *m)
{
	int rc = m->image >= 0 ? rfork_posix_start_warm(m) : -ESRCH;

	return rc == -ESRCH ? start_cold(m) : rc;
}

/* A lack of processes may pass, and the operator can stop the group meanwhile. The caller learns at once of the first. */
static int start_patiently(struct rfork_posix_monitor *m)
{
	int rc = start(m);

	for (long ms = FIRST_RETRY_MS; rc < 0 && m->self.generation && ms <= LAST_RETRY_MS; ms *= 2) {
		struct timespec pause = { .tv_nsec = ms * 1000000 };

		nanosleep(&pause, NULL);
		rfork_posix_commands(m);
		if (m->stopping)
			return rc;
		rc = start(m);
	}
	return rc;
}

static void tell_restart(struct rfork_posix_monitor *m)
{
	struct rfork_event *event = rfork_posix_queue_add(m, RFORK_EV_RESTART);

	event->cause = m->self.cause;
	event->status = m->self.status;
	event->old_pid = m->old_pid;
	event->new_pid = m->self.pid;
	event->flags = m->self.flags;
	event->fail_ns = m->self.fail_ns;
	event->start_ns = m->self.start_ns;
	rfork_posix_queue_flush(m);
}

static void tell_parent(const struct rfork_posix_monitor *m)
{
	if (m->options.exit_signal > 0 && (m->hidden || getppid() == m->owner))
		kill(m->owner, m->options.exit_signal);
}

/* 1: in the instance; 0: in the monitor; -errno: there is none. */
int rfork_posix_spawn(struct rfork_posix_monitor *m)
{
	int rc;

	m->kick = 0;
	rc = start_patiently(m);
	if (rc == 0 && m->self.generation) {
		tell_restart(m);
		tell_parent(m);
	}
	return rc;
}

/* As the instance ended, so that wait(2) on the monitor means what it says. */
static _Noreturn void exit_like(int status)
{
	const struct sigaction usual = { .sa_handler = SIG_DFL };
	struct rlimit none = { 0, 0 };
	sigset_t only;

	if (WIFSIGNALED(status)) {
		setrlimit(RLIMIT_CORE, &none);
		sigaction(WTERMSIG(status), &usual, NULL);	/* signal(3) is a BSD's or a System V's */
		sigemptyset(&only);
		sigaddset(&only, WTERMSIG(status));
		kill(getpid(), WTERMSIG(status));
		sigprocmask(SIG_UNBLOCK, &only, NULL);
	}
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 127);
}

_Noreturn void rfork_posix_finish(struct rfork_posix_monitor *m, unsigned int reason, unsigned int cause, int status)
{
	struct rfork_event *event;

	rfork_posix_drop_parent(m);
	rfork_posix_drop_image(m);
	event = rfork_posix_queue_add(m, RFORK_EV_END);
	event->cause = cause;
	event->status = status;
	event->old_pid = m->old_pid;
	event->flags = m->self.flags;
	event->fail_ns = m->self.fail_ns;
	event->start_ns = m->self.start_ns;
	event->reason = reason;
	rfork_posix_queue_finish(m);
	if (m->hidden)
		tell_parent(m);		/* otherwise its own end does */
	exit_like(status);
}

static unsigned int reason_to_end(struct rfork_posix_monitor *m, unsigned int cause, uint64_t lived_ns)
{
	if (m->stopping)
		return RFORK_END_STOP;
	if (!rfork_restarts_on(cause, m->options.flags))
		return RFORK_END_EXIT;
	if (m->self.flags & RFORK_WARM && rfork_is_crash(cause) && lived_ns < m->options.probation_ms * RFORK_NSEC_PER_MSEC)
		return RFORK_END_POISONED;
	if (cause != RFORK_CAUSE_OPERATOR && !rfork_bucket_take(&m->bucket, m->self.fail_ns))
		return RFORK_END_BURST;
	return 0;
}

/* True: this is the next instance. */
bool rfork_posix_ended(struct rfork_posix_monitor *m, int status, uint64_t fail_ns)
{
	unsigned int cause, reason;
	int rc;

	rfork_posix_notices(m);		/* what it said, and what the owner wanted, before it ended */
	m->old_pid = m->self.pid;
	m->self.pid = 0;
	rfork_posix_commands(m);
	cause = m->kick ? m->kick : rfork_classify(status, m->options.restart_status);
	m->self.fail_ns = fail_ns;
	reason = reason_to_end(m, cause, fail_ns - m->self.start_ns);
	if (reason)
		rfork_posix_finish(m, reason, cause, status);
	m->self.cause = cause;
	m->self.status = status;
	m->self.generation++;
	rc = rfork_posix_spawn(m);
	if (rc == 1)
		return true;
	if (rc < 0) {
		m->self.generation--;
		rfork_posix_finish(m, m->stopping ? RFORK_END_STOP : RFORK_END_NO_IMAGE, cause, status);
	}
	return false;
}
