/* SPDX-License-Identifier: MIT */
/*
 * What an early notice would be worth. The kernel marks a robust futex when a process lets go of its memory, before
 * wait(2) tells of its end. How much before, and is what a restart has to know known by then: how the process ended,
 * and that its descriptors are closed?
 *
 *	notice [COUNT]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

#define PAUSE_US 2000	/* the watcher is asleep by then */
#define KEEPER_STACK 16384
#define LIMIT_S 10	/* of one end: then SIGALRM ends this */

struct shared {
	volatile uint32_t word;	/* the futex: its owner's TID, or that this has died */
	volatile uint64_t failed;
	volatile pid_t keeper;
};

struct outcome {		/* of one kind of end */
	unsigned int count, status_known, closed;
	struct samples notice, status, closing;	/* from the failure */
};

static bool name_is_free(void)
{
	int fd = hold_name(getpid());

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int keep(void *nothing)
{
	(void)nothing;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pause();	/* until it is killed */
	return 0;
}

/* As librfork does it: with what keeps its memory, so that none is freed between its notice and its end. */
static _Noreturn void end_soon(struct shared *s, enum cause cause)
{
	static char stack[KEEPER_STACK] __attribute__((aligned(16)));
	struct robust_list entry;
	struct robust_list_head head = {
		.list.next = &entry, .futex_offset = (const char *)&s->word - (const char *)&entry,
	};
	volatile int *volatile nowhere = NULL;

	entry.next = &head.list;
	s->keeper = clone(keep, stack + sizeof stack, CLONE_VM | CLONE_PARENT | SIGCHLD, NULL);
	if (s->keeper < 0 || syscall(SYS_set_robust_list, &head, sizeof head) < 0)
		die("set_robust_list");
	if (hold_name(getppid()) < 0)	/* after the keeper, which has the descriptors there were */
		die("bind");
	s->word = (uint32_t)getpid() | FUTEX_WAITERS;
	usleep(PAUSE_US);
	s->failed = now_ns();
	if (cause == BY_SEGV)
		*nowhere = 0;
	_exit(RFORK_RESTART_STATUS);
}

static bool has_ended(pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

static void watch(struct shared *s, pid_t pid, struct outcome *o)
{
	uint64_t noticed, ended = 0, closed = 0;
	uint32_t word;

	while (!((word = s->word) & FUTEX_OWNER_DIED)) {
		if (word)
			syscall(SYS_futex, &s->word, FUTEX_WAIT, word, NULL, NULL, 0);
		else
			sched_yield();
	}
	noticed = now_ns();
	ended = has_ended(pid) ? noticed : 0;
	closed = name_is_free() ? noticed : 0;
	o->count++;
	o->status_known += ended != 0;
	o->closed += closed != 0;
	while (!ended || !closed) {
		sched_yield();
		if (!ended && has_ended(pid))
			ended = now_ns();
		if (!closed && name_is_free())
			closed = now_ns();
	}
	samples_add(&o->notice, noticed - s->failed);
	samples_add(&o->status, ended - s->failed);
	samples_add(&o->closing, closed - s->failed);
}

static void one(struct shared *s, enum cause cause, struct outcome *o)
{
	pid_t pid;

	memset(s, 0, sizeof *s);
	alarm(LIMIT_S);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0)
		end_soon(s, cause);
	watch(s, pid, o);
	kill(s->keeper, SIGKILL);
	waitpid(s->keeper, NULL, __WALL);
	waitpid(pid, NULL, 0);
}

static void print(const char *variant, enum cause cause, const struct outcome *o, struct samples *samples)
{
	printf("{\"bench\": \"notice\", \"variant\": \"%s\", \"cause\": \"%s\", \"cpus\": %u, \"status_known\": %u, "
	       "\"closed\": %u, ", variant, cause_names[cause], cpus(), o->status_known, o->closed);
	samples_print(samples, false);
	printf("}\n");
}

int main(int argc, char **argv)
{
	struct rlimit none = { 0, 0 };
	struct outcome outcomes[2] = { { 0 } };
	int fd, count = argc > 1 ? atoi(argv[1]) : 200;
	struct shared *s = shared_memory(sizeof *s, &fd);

	setrlimit(RLIMIT_CORE, &none);
	for (int i = 0; i < count; i++)
		for (enum cause cause = BY_EXIT; cause <= BY_SEGV; cause++)
			one(s, cause, &outcomes[cause]);
	for (enum cause cause = BY_EXIT; cause <= BY_SEGV; cause++) {
		print("notice", cause, &outcomes[cause], &outcomes[cause].notice);
		print("closed", cause, &outcomes[cause], &outcomes[cause].closing);
		print("status", cause, &outcomes[cause], &outcomes[cause].status);
	}
	printf("{\"bench\": \"end\"}\n");
	return 0;
}
