/* SPDX-License-Identifier: MIT */
/* syscalls PID...: counts the system calls of these processes until SIGTERM, then prints PID and count, a line each.
 * They run on; 100 wrong use, 111 a process that cannot be traced. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST 32

static struct traced {
	pid_t pid;
	unsigned long calls;
	int inside, gone;
} traced[MOST];
static int count;
static volatile sig_atomic_t over;

static void end(int signal)
{
	(void)signal;
	over = 1;
}

static struct traced *find(pid_t pid)
{
	for (int i = 0; i < count; i++)
		if (traced[i].pid == pid)
			return &traced[i];
	return NULL;
}

static void attach(const char *word)
{
	int status;
	pid_t pid = atoi(word);

	if (ptrace(PTRACE_ATTACH, pid, 0, 0) < 0 || waitpid(pid, &status, 0) < 0 ||
	    ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD) < 0 || ptrace(PTRACE_SYSCALL, pid, 0, 0) < 0) {
		fprintf(stderr, "syscalls: %s: %s\n", word, strerror(errno));
		exit(111);
	}
	traced[count++].pid = pid;
}

/* One stop of one process: a system call's begin or end, or a signal that it is to have. */
static void step(struct traced *t, int status)
{
	long give = 0;

	if (!WIFSTOPPED(status)) {
		t->gone = 1;
		return;
	}
	if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
		t->inside = !t->inside;
		t->calls += (unsigned long)t->inside;
	} else {
		give = WSTOPSIG(status);
	}
	ptrace(PTRACE_SYSCALL, t->pid, 0, give);
}

/* A process can be let go only while it is stopped. */
static void let_go(struct traced *t)
{
	int status;

	if (t->gone)
		return;
	kill(t->pid, SIGSTOP);
	while (waitpid(t->pid, &status, 0) == t->pid && WIFSTOPPED(status) && WSTOPSIG(status) != SIGSTOP)
		step(t, status);
	ptrace(PTRACE_DETACH, t->pid, 0, 0);
	kill(t->pid, SIGCONT);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = end };
	struct traced *t;
	int status;
	pid_t pid;

	if (argc < 2 || argc > MOST) {
		fputs("usage: syscalls PID...\n", stderr);
		return 100;
	}
	sigaction(SIGTERM, &action, NULL);
	for (int i = 1; i < argc; i++)
		attach(argv[i]);
	while (!over && (pid = waitpid(-1, &status, __WALL)) > 0)
		if ((t = find(pid)))
			step(t, status);
	for (int i = 0; i < count; i++) {
		let_go(&traced[i]);
		printf("%d %lu\n", (int)traced[i].pid, traced[i].calls);
	}
	return 0;
}
