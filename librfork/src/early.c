/* SPDX-License-Identifier: MIT */
/*
 * An instance's end before wait(2) tells of it (RFORK_EARLY). That something has been said on the control socket is a hint,
 * whoever said it: what counts is the kernel's word, in /proc/PID/stat, that the instance is in exit(2), and how it ended.
 * That is there since Linux 3.5, for who may look; otherwise the end is seen as ever. (Before 5.17 the word of a process that
 * might dump core was left alone, so that of most crashes there was no hint.)
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "monitor.h"

#define EXITING 0x4		/* PF_EXITING: it will not run another instruction of its program */

#if defined(SYS_sched_getattr) && defined(SYS_sched_setattr)
static bool get_slice(struct rfork_sched *sched)
{
	return syscall(SYS_sched_getattr, 0, sched, sizeof *sched, 0) == 0 && sched->policy == SCHED_OTHER;
}

static bool set_slice(struct rfork_sched *sched, uint64_t ns)
{
	sched->runtime = ns;
	return syscall(SYS_sched_setattr, 0, sched, 0) == 0;
}

/* With a short time slice of its own the monitor need not wait for the end of the dying one's; before Linux 6.12 that has
 * no effect. Other policies are left alone. */
void rfork_early_prepare(struct rfork_monitor *m)
{
	struct rfork_sched now, usual;

	if (!(m->options.flags & RFORK_EARLY) || m->options.flags & RFORK_NO_SPARE || prctl(PR_GET_SECCOMP) != 0 ||
	    !get_slice(&now))
		return;
	usual = now;		/* where a slice is said whether or not it has been set */
	if (set_slice(&usual, 0) && get_slice(&usual) && now.runtime != usual.runtime)
		m->slice = now.runtime;
	set_slice(&now, RFORK_SHORT_SLICE_NS);
}

/* In an instance. What else has been changed of the monitor's since then stays. */
void rfork_early_give_back(const struct rfork_monitor *m)
{
	struct rfork_sched now;

	if (m->options.flags & RFORK_EARLY && get_slice(&now) && now.runtime == RFORK_SHORT_SLICE_NS)
		set_slice(&now, m->slice);
}
#else
void rfork_early_prepare(struct rfork_monitor *m)
{
	(void)m;
}

void rfork_early_give_back(const struct rfork_monitor *m)
{
	(void)m;
}
#endif

/* Not where /proc is another PID namespace's. */
static bool proc_is_ours(const struct rfork_monitor *m)
{
	char text[16];
	ssize_t got = readlink("/proc/self", text, sizeof text - 1);

	if (got < 0)
		return false;
	text[got] = '\0';
	return strtol(text, NULL, 10) == m->pid;
}

/* -1 in *stat where there is nothing to be seen. */
void rfork_early_open(const struct rfork_monitor *m, int *stat, pid_t pid)
{
	char path[32];

	rfork_wire_close(stat);
	if (!(m->options.flags & RFORK_EARLY) || !proc_is_ours(m))
		return;
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	*stat = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

/* 0: it runs, or has other threads that may, or has ended with status 0, or we may not know. */
static int status_in_proc(int fd)
{
	struct rfork_stat stat;

	return rfork_stat_read(fd, &stat) && stat.flags & EXITING && stat.threads == 1 ? stat.exit_code : 0;
}

/*
 * To a process group the kernel sends a signal to one after the other, with a lock for reading that setpgid(2) takes for
 * writing, also when it changes nothing or may not. (At the other end of an instance, wait(2) has had that lock.)
 */
static void wait_for_signals_under_way(void)
{
	pid_t group = getpgrp();

	if (group > 0)		/* 0: of an outer PID namespace */
		setpgid(0, group);
}

/*
 * Only where a spare is ready: there is nothing to be gained otherwise; and not while another is ending, so that a close(2)
 * that takes its time holds up one instance and no more. True: this is a new instance.
 */
bool rfork_early_end(struct rfork_monitor *m)
{
	int status;

	if (m->stat < 0 || !m->self.pid || m->ending || !m->spare.pid || m->spare_gone)
		return false;
	status = status_in_proc(m->stat);
	if (!status)
		return false;
	/* In this order: a signal to many, of which the instance has died, is seen with its end. */
	wait_for_signals_under_way();
	if (rfork_signals_pending() & ~RFORK_CHILD_SIGNAL)
		return false;
	m->ending = m->self.pid;
	return rfork_monitor_ended(m, status);
}
