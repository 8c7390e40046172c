/* SPDX-License-Identifier: MIT */
/* The monitor's set-up and its loop. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "monitor.h"

/* Children that end or stop are looked at so many at a time: poll(2) reports again what is left. */
#define CHILDREN_AT_ONCE 64
#define NOTICES_PAUSE_MS 10

/* After so many only the instance: other children that stop and go on without end must not hide its end. */
static pid_t next_child(struct rfork_monitor *m, int done, int *status)
{
	if (done < CHILDREN_AT_ONCE)
		return waitpid(-1, status, WNOHANG | WUNTRACED | __WALL);
	m->reap_more = true;
	return done == CHILDREN_AT_ONCE && m->self.pid ? waitpid(m->self.pid, status, WNOHANG | __WALL) : 0;
}

/*
 * True: this is a new instance. After a restart the new instance is to have the CPU, so the other children wait. A
 * spare that is stopped could not take its turn; `was_spare`: the instance may have been stopped as one.
 */
static bool reap(struct rfork_monitor *m, bool was_spare)
{
	int status;
	pid_t pid;

	m->reap_later = m->reap_more = false;
	for (int i = 0; (pid = next_child(m, i, &status)) > 0; i++) {
		if (WIFSTOPPED(status)) {
			if (pid == m->spare.pid)
				rfork_spare_drop(m);
			else if (pid == m->self.pid && was_spare)
				kill(pid, SIGCONT);
		} else if (pid == m->self.pid) {
			m->reap_later = true;
			return rfork_monitor_ended(m, status);
		} else if (pid == m->image.pid) {
			rfork_image_drop(m, true);
		} else {
			rfork_spare_reaped(m, pid);
		}
	}
	return false;
}

static bool owner_gone(const struct rfork_monitor *m)
{
	return !(m->options.flags & RFORK_OUTLIVE) && getppid() != m->owner;
}

/* What was sent to many, the spare has got too, and it is not for it: there will be another. */
static void take_signals(struct rfork_monitor *m, uint64_t *set)
{
	if (rfork_signals_read(m->signals, set) && m->spare.pid) {
		rfork_spare_drop(m);
		rfork_spare_settle_after(m, 0);
	}
}

static void forward(struct rfork_monitor *m, uint64_t set)
{
	for (int signal = 1; set >> signal; signal++)
		if (set >> signal & 1)
			rfork_child_signal(m, signal);
}

static int timeout(const struct rfork_monitor *m, bool paused)
{
	int ms = m->reap_more ? 0 : rfork_spare_timeout(m);

	return paused && (ms < 0 || ms > NOTICES_PAUSE_MS) ? NOTICES_PAUSE_MS : ms;
}

/* True: a child may have ended. The signals come first in the list: what was sent before an end is seen with it. */
static bool sleep_until_something(struct rfork_monitor *m)
{
	bool paused = rfork_notices_too_many(m);
	struct pollfd waiting[5] = {
		{ .fd = m->signals, .events = POLLIN },
		{ .fd = m->owner_socket, .events = (short)(POLLIN | (m->queue.count ? POLLOUT : 0)) },
		{ .fd = paused ? -1 : m->control.ours, .events = POLLIN },
		{ .fd = m->spare.pid && !m->spare_gone ? m->spare.go : -1 },
		{ .fd = paused || m->spare.keeper ? -1 : m->spare.control.ours, .events = POLLIN },	/* says only that */
	};

	poll(waiting, 5, timeout(m, paused));
	m->owner_waits = waiting[1].revents;
	m->notice_waits = paused || waiting[2].revents || waiting[4].revents;
	m->spare_gone |= waiting[3].revents != 0;
	return waiting[0].revents || m->reap_later || m->reap_more;
}

/* As waitpid(2) has it. */
static int wait_status(const siginfo_t *info)
{
	if (info->si_code == CLD_EXITED)
		return (info->si_status & 0xff) << 8;
	return info->si_status | (info->si_code == CLD_DUMPED ? 0x80 : 0);
}

/*
 * The short way: the instance has ended and nobody has sent anything that would have to be heard before. It is reaped when
 * the next one runs, and SIGCHLD stays to be read for all else. True: this is a new instance.
 */
static bool instance_ended(struct rfork_monitor *m)
{
	siginfo_t info = { .si_pid = 0 };
	int status;

	/* In this order: a signal to many, of which the instance has died, is seen with its end. */
	if (!m->self.pid || waitid(P_PID, (id_t)m->self.pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
	    info.si_pid != m->self.pid || rfork_signals_pending() != RFORK_CHILD_SIGNAL)
		return false;
	/* Before Linux 5.17 it is the first thread's status, if that had ended before the others. */
	status = wait_status(&info);
	if (!status)
		return false;
	m->unreaped = m->self.pid;
	return rfork_monitor_ended(m, status);
}

/* Returns in instances only. */
static void watch(struct rfork_monitor *m)
{
	for (;;) {
		if (sleep_until_something(m)) {
			uint64_t set;
			bool short_way;

			if (instance_ended(m))
				return;
			short_way = m->unreaped;
			rfork_monitor_reap(m);
			take_signals(m, &set);
			forward(m, set);	/* to the one that ended, if one did */
			if (reap(m, short_way))
				return;
			if (owner_gone(m))
				rfork_monitor_abandon(m);
		}
		if (m->notice_waits)
			rfork_notices_heed(m);
		if (m->owner_waits)
			rfork_monitor_commands(m);
		if (rfork_make_settle(m) == 1)
			return;
		rfork_queue_flush(m);
	}
}

/* The owner's end, to be sent to it, or -errno. Made here and not by the owner, so that
 * SO_PEERCRED tells the owner whom it talks to. */
static int open_owner_socket(struct rfork_monitor *m)
{
	int pair[2], on = 1;
	int rc = rfork_wire_pair(SOCK_STREAM, pair);

	if (rc < 0)
		return rc;
	m->owner_socket = rfork_wire_raise(pair[0]);
	if (m->owner_socket < 0)
		return m->owner_socket;
	if (setsockopt(m->owner_socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0)
		return -errno;
	rfork_queue_limit(m);
	return pair[1];
}

static int set_up(struct rfork_monitor *m, const struct rfork_start *start)
{
	uid_t effective;
	int rc;

	memset(m, 0, sizeof *m);
	m->options = *start->options;
	m->pid = getpid();
	m->owner = start->owner;
	getresuid(&m->user, &effective, &m->saved_user);
	m->owner_socket = m->signals = m->image.socket = m->spare.go = -1;
	m->control = m->spare.control = m->stale = (struct rfork_control){ .ours = -1, .theirs = -1 };
	m->self.restart_status = m->options.restart_status;
	rfork_bucket_init(&m->bucket, m->options.burst, m->options.window_ms);
	if (!(m->options.flags & RFORK_OUTLIVE))
		prctl(PR_SET_PDEATHSIG, SIGIO);
	rfork_self_hide();
	if (rfork_self_prepare() < 0)
		return -ENOMEM;
	rc = rfork_control_open(&m->control);
	if (rc == 0) {
		m->self.control = m->number = m->control.theirs;
		m->self.control_inode = m->control.inode;
	}
	return rc;
}

static int say_hello(int socket, int error, int owner_end)
{
	struct rfork_hello hello = { .error = error };
	struct rfork_packet packet = {
		.data = &hello, .size = sizeof hello, .fds = { owner_end }, .fd_count = error ? 0 : 1,
	};

	return rfork_wire_send(socket, &packet, 0);
}

/* Returns in every instance; the monitor itself stays in here until the group's end. */
void rfork_monitor_run(const struct rfork_start *start)
{
	struct rfork_monitor monitor;
	int owner_end = -1, told = 0;
	int rc = set_up(&monitor, start);

	if (rc == 0)
		rc = owner_end = open_owner_socket(&monitor);
	if (rc >= 0)
		rc = monitor.signals = rfork_signals_take(&start->mask);
	if (rc >= 0)
		rc = rfork_monitor_spawn(&monitor);
	if (rc != 1)
		told = say_hello(start->hello, rc < 0 ? rc : 0, owner_end);
	rfork_wire_close(&owner_end);
	close(start->hello);
	if (rc == 1)
		return;
	if (rc < 0 || (told < 0 && !(monitor.options.flags & RFORK_OUTLIVE)))
		rfork_monitor_abandon(&monitor);
	watch(&monitor);
}
