/* SPDX-License-Identifier: MIT */
/*
 * An instance's end before wait(2) tells of it (RFORK_EARLY). That something has been said on the control socket is a hint,
 * whoever said it: what counts is the kernel's word, in /proc/PID/stat, that the instance is in exit(2), and how it ended.
 * That is there since Linux 3.5, for who may look; otherwise the end is seen as ever.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "monitor.h"

#define EXITING 0x4		/* PF_EXITING: it will not run another instruction of its program */
enum { FLAGS = 9, THREADS = 20, EXIT_CODE = 52 };	/* as proc(5) counts */

/* With a short time slice of its own the monitor need not wait for the end of the dying one's; before Linux 6.12 that has
 * no effect. Other policies are left alone. */
void rfork_early_prepare(struct rfork_monitor *m)
{
#if defined(SYS_sched_getattr) && defined(SYS_sched_setattr)
	struct rfork_sched slice;

	if (!(m->options.flags & RFORK_EARLY) || syscall(SYS_sched_getattr, 0, &slice, sizeof slice, 0) < 0 ||
	    slice.policy != SCHED_OTHER)
		return;
	m->sched = slice;
	slice.runtime = RFORK_SHORT_SLICE_NS;
	if (syscall(SYS_sched_setattr, 0, &slice, 0) < 0)
		m->sched.size = 0;
#else
	(void)m;
#endif
}

void rfork_early_give_back(const struct rfork_monitor *m)
{
#if defined(SYS_sched_getattr) && defined(SYS_sched_setattr)
	if (m->sched.size)
		syscall(SYS_sched_setattr, 0, &m->sched, 0);
#else
	(void)m;
#endif
}

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
	*stat = open(path, O_RDONLY | O_CLOEXEC);
}

/* As wait(2) will have it. 0: it runs, or has other threads that may, or has ended with status 0, or we may not know. */
static int status_in_proc(int stat)
{
	char text[1024], *field;
	ssize_t got = pread(stat, text, sizeof text - 1, 0);
	int number = 2;

	if (got <= 0)
		return 0;
	text[got] = '\0';
	field = strrchr(text, ')');	/* ends the name, which may have spaces in it */
	while (field && (field = strchr(field, ' '))) {
		field++;
		number++;
		if ((number == FLAGS && !(strtoul(field, NULL, 10) & EXITING)) ||
		    (number == THREADS && strtol(field, NULL, 10) != 1))
			return 0;
		if (number == EXIT_CODE)
			return (int)strtol(field, NULL, 10);
	}
	return 0;
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
	/* In this order: a signal to many, of which the instance has died, is seen with its end. */
	if (!status || rfork_signals_pending() & ~RFORK_CHILD_SIGNAL)
		return false;
	m->ending = m->self.pid;
	return rfork_monitor_ended(m, status);
}
