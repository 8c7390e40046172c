/* SPDX-License-Identifier: MIT */
/* An instance that hangs: a look at it before it is killed, and a signal that lets it speak first. */
#include "run.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STOPS_MS 100		/* a process in an uninterruptible sleep never does */
#define RUNS_MS 800		/* more for one that only waits for a CPU to stop on */
#define LOOK_MS 1200		/* for all of it, on a machine that is busy */
#define STEP_NS 500000
#define WORD_MAX 64
/* Linux 3.4; not in every C library. */
#define SEIZE 0x4206
#define INTERRUPT 0x4207

/* Within the time, or not: the status stays with wait(2). */
static bool ended_within(pid_t pid, unsigned int ms, int *status)
{
	const struct timespec step = { .tv_nsec = STEP_NS };
	uint64_t deadline = rfork_now() + ms * RFORK_NSEC_PER_MSEC;
	pid_t got;

	while ((got = waitpid(pid, status, WNOHANG | __WALL)) == 0 && rfork_now() < deadline)
		nanosleep(&step, NULL);
	return got != 0;	/* a child that was reaped at once (sweep.c) has ended too */
}

static bool read_word(pid_t pid, const char *file, char word[WORD_MAX])
{
	char path[48];
	FILE *from;
	bool got;

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
	from = fopen(path, "re");
	if (!from)
		return false;
	got = fscanf(from, "%63s", word) == 1;
	fclose(from);
	return got;
}

/* 0: unknown. The name before it may hold anything. */
static char state_of(pid_t pid)
{
	char path[48], line[256] = "", *name_end;
	FILE *from;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	from = fopen(path, "re");
	if (!from)
		return 0;
	name_end = fgets(line, sizeof line, from) ? strrchr(line, ')') : NULL;
	fclose(from);
	return name_end && name_end[1] == ' ' ? name_end[2] : '\0';
}

/* Before it is traced: that changes both. */
static void tell_state(FILE *to, pid_t pid)
{
	char word[WORD_MAX], state = state_of(pid);

	if (state)
		fprintf(to, "state=%c\n", state);
	if (read_word(pid, "wchan", word))
		fprintf(to, "wchan=%s\n", word);
	if (read_word(pid, "syscall", word))
		fprintf(to, "syscall=%s\n", word);
}

#ifdef __x86_64__
static void tell_registers(FILE *to, const struct user_regs_struct *regs)
{
	const struct { const char *name; unsigned long long value; } all[] = {
		{ "rip", regs->rip }, { "rsp", regs->rsp }, { "rbp", regs->rbp }, { "rax", regs->rax }, { "rbx", regs->rbx },
		{ "rcx", regs->rcx }, { "rdx", regs->rdx }, { "rsi", regs->rsi }, { "rdi", regs->rdi }, { "r8", regs->r8 },
		{ "r9", regs->r9 }, { "r10", regs->r10 }, { "r11", regs->r11 }, { "r12", regs->r12 }, { "r13", regs->r13 },
		{ "r14", regs->r14 }, { "r15", regs->r15 },
	};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		fprintf(to, "%s=%llx\n", all[i].name, all[i].value);
}

static void tell_thread(FILE *to, pid_t pid)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) < 0)
		return;
	tell_registers(to, &regs);
	run_stack_tell(to, pid, regs.rip, regs.rsp);
}
#else
/* The record has what /proc says, as with a process that cannot be traced. */
static void tell_thread(FILE *to, pid_t pid)
{
	(void)to;
	(void)pid;
}
#endif

static bool stop_it(pid_t pid)
{
	int status = 0;
	bool told = ptrace(SEIZE, pid, NULL, NULL) == 0 ? ptrace(INTERRUPT, pid, NULL, NULL) == 0 :
		    ptrace(PTRACE_ATTACH, pid, NULL, NULL) == 0;

	return told && (ended_within(pid, STOPS_MS, &status) ||
			(state_of(pid) != 'D' && ended_within(pid, RUNS_MS, &status))) && WIFSTOPPED(status);
}

/* In a process of its own: its end lets the instance go, whatever has happened. */
static void look(const struct run_config *config, pid_t pid)
{
	char *path = run_state_path(config, "hang"), *draft = run_state_path(config, "hang.new");
	FILE *to = fopen(draft, "we");
	bool written;

	if (!to)
		return;
	run_stack_head(to, pid);
	tell_state(to, pid);
	if (stop_it(pid))
		tell_thread(to, pid);
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	written = !ferror(to);
	if (fclose(to) != 0 || !written || rename(draft, path) < 0)
		unlink(draft);
}

static void look_at(const struct runner *r)
{
	pid_t helper;
	int status;

	if (!r->config->state || !r->pid)
		return;
	helper = fork();
	if (helper == 0) {
		look(r->config, r->pid);
		_exit(RUN_DONE);
	}
	if (helper > 0 && !ended_within(helper, LOOK_MS, &status)) {
		kill(helper, SIGKILL);
		waitpid(helper, &status, 0);
	}
}

/* It hangs: what it last gave a sign of life with is the beginning of its downtime. */
void run_hang(struct runner *r)
{
	int signal = r->config->heartbeat_signal;

	r->hung_since = r->alive_ns;
	r->beat_by = r->ready_by = r->end_by = 0;
	look_at(r);
	if (r->never_ready) {
		rfork_stop(r->rfd, SIGKILL);
		return;
	}
	if (signal)
		r->hang_by = rfork_now() + r->config->stop_ms * RFORK_NSEC_PER_MSEC;
	rfork_kick(r->rfd, signal ? signal : SIGKILL, RFORK_CAUSE_HEARTBEAT);
}

/* It has had its time to speak. */
void run_hang_check(struct runner *r)
{
	if (!r->hang_by || rfork_now() < r->hang_by)
		return;
	r->hang_by = 0;
	rfork_kick(r->rfd, SIGKILL, RFORK_CAUSE_HEARTBEAT);
}

/* How long it had hung when it ended, for its record; "" if it did not end for that. */
const char *run_hang_detected(struct runner *r, const struct rfork_event *event)
{
	static char text[40];

	*text = '\0';
	if (r->hung_since && (event->cause == RFORK_CAUSE_HEARTBEAT || r->never_ready) && event->fail_ns > r->hung_since)
		snprintf(text, sizeof text, " detect_us=%llu", (unsigned long long)(event->fail_ns - r->hung_since) / 1000);
	return text;
}
