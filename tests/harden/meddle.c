/* SPDX-License-Identifier: MIT */
/* What others may do to an instance or its template: signals, tracers, cgroups, /proc, and calls that take a PID. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harden.h"

#define TRACEES 32

static char cgroups[2][64];
static pid_t tracees[TRACEES]; /* that could not be let go: wait(2) waits for them as for children */
static unsigned int traced;

/* Two cgroups for each worker to move its processes between. */
void meddle_init(int worker)
{
	for (int i = 0; i < 2; i++) {
		snprintf(cgroups[i], sizeof cgroups[i], FUZZ_CGROUP "/w%d.%d", worker, i);
		mkdir(cgroups[i], 0755);
	}
}

void meddle_end(void)
{
	char path[96];

	for (int i = 0; i < TRACEES; i++)
		if (tracees[i] && in_group(tracees[i]))
			kill(tracees[i], SIGKILL);
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s/cgroup.freeze", cgroups[i]);
		write_file(path, "0");
	}
}

/* The instance, or what is probably its template: the next PID after it, or after that. */
static pid_t someone(const struct owned_group *group)
{
	return group->last + (pid_t)below(3);
}

/* PIDs are used again: a stop that hits somebody else would look like a hang. */
void send_signal(pid_t pid, int number)
{
	int stops = number == SIGSTOP || number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;

	if (!stops || in_group(pid))
		kill(pid, number);
}

static void do_signal(pid_t pid)
{
	static const int signals[] = { SIGKILL, SIGSTOP, SIGCONT, SIGSEGV, SIGTERM, SIGABRT, SIGTSTP, SIGCHLD, 0, 40 };
	int number = signals[below(COUNT_OF(signals))];
	int pidfd;

	switch (below(4)) {
	case 0:
		kill(pid, number);
		break;
	case 1:
		syscall(SYS_tgkill, pid, pid, number);
		break;
	case 2:
		kill(-pid, number);
		break;
	case 3:
		pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
		syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0);
		if (pidfd >= 0)
			close(pidfd);
		break;
	}
}

/* A template can be traced by nobody. What it was before and after the call it was meanwhile. */
static void do_trace(pid_t pid)
{
	int request = one_in(2) ? PTRACE_ATTACH : PTRACE_SEIZE;
	int before = is_template(pid);
	long result = ptrace(request, pid, 0, 0);

	if (result == 0 && before && is_template(pid))
		finding("template %d can be traced", pid);
	if (result < 0)
		return;
	if (request == PTRACE_SEIZE)
		ptrace(PTRACE_INTERRUPT, pid, 0, 0);
	nap_us(below(500));
	if (one_in(4))
		ptrace(PTRACE_KILL, pid, 0, 0);
	waitpid(pid, NULL, WNOHANG | __WALL | WUNTRACED);
	if (one_in(2))
		ptrace(PTRACE_CONT, pid, 0, one_in(2) ? SIGSEGV : 0);
	if (ptrace(PTRACE_DETACH, pid, 0, one_in(2) ? SIGKILL : 0) < 0)
		tracees[traced++ % TRACEES] = pid;
}

static void do_cgroup(pid_t pid)
{
	static const char *const files[] = { "cgroup.procs", "cgroup.procs", "cgroup.freeze", "cgroup.kill" };
	const char *file = files[below(COUNT_OF(files))];
	char path[128];

	snprintf(path, sizeof path, "%s/%s", cgroups[below(2)], file);
	if (!strcmp(file, "cgroup.procs"))
		write_number(path, pid);
	else if (!strcmp(file, "cgroup.kill"))
		write_file(path, one_in(4) ? "1" : "0");
	else
		write_file(path, one_in(3) ? "1" : "0");
}

static void do_proc(pid_t pid)
{
	static const char *const files[] = {
		"status", "stat", "maps", "smaps_rollup", "mem", "environ", "cmdline", "wchan", "stack", "io", "limits",
		"cgroup", "auxv", "pagemap", "syscall", "personality", "mounts", "task", "fd", "ns", "children", "exe",
		"oom_score_adj", "comm", "clear_refs", "coredump_filter", "timerslack_ns", "setgroups", "statm", "sched",
	};
	char path[96], text[1024];
	int fd;

	snprintf(path, sizeof path, "/proc/%d/%s", pid, files[below(COUNT_OF(files))]);
	fd = open(path, (one_in(3) ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return;
	(void)!read(fd, text, sizeof text);
	if (one_in(3))
		(void)!write(fd, "1", 1);
	close(fd);
}

static void do_limits(pid_t pid)
{
	struct rlimit limit = { 1 << 20, 1 << 20 };
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(below(2), &set);
	switch (below(5)) {
	case 0:
		sched_setaffinity(pid, sizeof set, &set);
		break;
	case 1:
		setpriority(PRIO_PROCESS, (id_t)pid, (int)below(20));
		break;
	case 2:
		syscall(SYS_prlimit64, pid, RLIMIT_CORE + below(3), one_in(2) ? &limit : NULL, NULL);
		break;
	case 3:
		sched_setscheduler(pid, one_in(2) ? SCHED_BATCH : SCHED_IDLE, &(struct sched_param){ 0 });
		break;
	case 4:
		setpgid(pid, one_in(2) ? 0 : getpid());
		break;
	}
}

static void do_memory(pid_t pid)
{
	char byte;
	struct iovec here = { &byte, 1 }, there = { (void *)&groups, 1 };
	int before = is_template(pid);

	if (process_vm_readv(pid, &here, 1, &there, 1, 0) == 1 && before && is_template(pid))
		finding("the memory of template %d can be read", pid);
	syscall(SYS_get_robust_list, pid, &here.iov_base, &here.iov_len);
	syscall(SYS_kcmp, pid, getpid(), 0, 0, 0);
}

static void do_wait(pid_t pid)
{
	siginfo_t info = { 0 };
	int before = is_template(pid);

	info.si_pid = 0;
	if (waitid(P_PID, (id_t)pid, &info, WNOHANG | WEXITED | WSTOPPED | WCONTINUED | WNOWAIT | __WALL) == 0 && before &&
	    is_template(pid))
		finding("template %d can be waited for", pid);
}

void meddle(struct owned_group *group)
{
	static void (*const ways[])(pid_t) = {
		do_signal, do_signal, do_signal, do_trace, do_cgroup, do_proc, do_proc, do_limits, do_memory, do_wait,
	};

	pid_t pid = someone(group);

	if (in_group(pid)) /* and not somebody who has its PID now */
		ways[below(COUNT_OF(ways))](pid);
}
