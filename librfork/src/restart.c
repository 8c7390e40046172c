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

/* In a new instance, or a spare: what is the monitor's goes. */
void rfork_monitor_leave(struct rfork_monitor *m)
{
	rfork_wire_close(&m->owner_socket);
	rfork_wire_close(&m->control);
	rfork_wire_close(&m->signals);
	rfork_wire_close(&m->image.socket);
	rfork_wire_close(&m->spare.go);
}

static void become_instance(struct rfork_monitor *m)
{
	rfork_monitor_leave(m);
	rfork_self_arrange(&m->self, m->pid, SIGKILL);
	/* The first is in no hurry; one that had to be made at a restart is. */
	if (!m->self.generation && !(m->options.flags & RFORK_NO_SPARE))
		rfork_spare_start_keeper(&m->self, m->pid);
	rfork_self_begin(&m->self);
	rfork_signals_give_back();
}

/* To the instance. One that was a spare forgets what it got before it began, so it gets nothing until it has said that it
 * has; only SIGKILL does not wait. */
int rfork_monitor_signal(struct rfork_monitor *m, int signal)
{
	if (!m->self.pid)
		return 0;
	if (m->started || signal == SIGKILL)
		return kill(m->self.pid, signal) < 0 ? -errno : 0;
	m->held |= 1ull << signal;
	return 0;
}

static void send_held(struct rfork_monitor *m)
{
	for (int signal = 1; m->held >> signal; signal++)
		if (m->held >> signal & 1)
			kill(m->self.pid, signal);
	m->held = 0;
}

/* No process to be had may pass; an operator's stop is heard meanwhile. Of the first instance the caller is told at once. */
static pid_t fork_patiently(struct rfork_monitor *m)
{
	pid_t pid = rfork_raw_fork(SIGCHLD);

	for (long ms = FIRST_RETRY_MS; pid < 0 && m->self.generation && ms <= LAST_RETRY_MS && !m->stopping; ms *= 2) {
		struct timespec pause = { .tv_nsec = ms * 1000000 };

		nanosleep(&pause, NULL);
		rfork_monitor_commands(m);
		pid = rfork_raw_fork(SIGCHLD);
	}
	return pid;
}

/* Without a spare. What the last but one instance left is freed first, or memory runs out. */
static pid_t spawn_now(struct rfork_monitor *m)
{
	pid_t pid = -ENOENT;

	rfork_spare_free_now(m);
	m->self.flags = RFORK_WARM;
	if (m->image.pid)
		pid = rfork_image_start(m, -1);
	if (pid <= 0) {
		m->self.flags = 0;
		pid = fork_patiently(m);
	}
	return pid;
}

/* 1: in the instance; 0: in the monitor; -errno: there is none. */
int rfork_monitor_spawn(struct rfork_monitor *m)
{
	pid_t pid;

	m->started = false;
	m->held = 0;
	m->kick = 0;
	m->self.start_ns = rfork_now();
	if (rfork_spare_go(m))
		return 0;
	pid = spawn_now(m);
	if (pid == 0) {
		become_instance(m);
		return 1;
	}
	m->self.pid = pid > 0 ? pid : 0;
	rfork_spare_settle_after(m, 0);
	return pid > 0 ? 0 : pid;
}

static void tell_parent(struct rfork_monitor *m)
{
	if (m->options.exit_signal > 0 && getppid() == m->owner)
		kill(m->owner, m->options.exit_signal);
}

void rfork_monitor_started(struct rfork_monitor *m, uint64_t start_ns)
{
	struct rfork_event *event;

	if (m->started)
		return;
	m->started = true;
	m->self.start_ns = start_ns;
	send_held(m);
	if (!m->self.generation)
		return;
	tell_parent(m);
	event = rfork_queue_add(m, RFORK_EV_RESTART);
	event->cause = m->self.cause;
	event->status = m->self.status;
	event->old_pid = m->old_pid;
	event->new_pid = m->self.pid;
	event->flags = m->self.flags;
	event->fail_ns = m->self.fail_ns;
	event->start_ns = start_ns;
	rfork_queue_flush(m);
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
	if (m->self.pid) {
		kill(m->self.pid, SIGKILL);
		while (waitpid(m->self.pid, NULL, __WALL) < 0 && errno == EINTR)
			;
	}
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

/* The instance has been reaped. True: this is the next instance. */
bool rfork_monitor_ended(struct rfork_monitor *m, int status)
{
	uint64_t now = rfork_now(), begun = m->self.start_ns;
	unsigned int cause, reason;
	int rc;

	/* What it said, and what the owner wanted, before it ended. Its PID may be
	 * another's by now. */
	if (m->notice_waits)
		rfork_monitor_notices(m);
	m->held = 0;
	rfork_monitor_started(m, begun);
	m->old_pid = m->self.pid;
	m->self.pid = 0;
	rfork_spare_instance_ended(m);
	if (m->owner_waits)
		rfork_monitor_commands(m);
	cause = m->kick ? m->kick : rfork_classify(status, m->options.restart_status);
	m->self.fail_ns = now;
	begun = m->self.start_ns;
	reason = reason_to_end(m, cause, now - begun);
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
