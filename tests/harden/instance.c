/* SPDX-License-Identifier: MIT */
/* What an instance does: a few things to itself, and then some kind of end. Each generation does something else. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "harden.h"

#define MAX_DEPTH 2

static int threads_made;	/* one that was joined may not be all gone yet */
static uint64_t thread_seed;

/* musl's raise() and abort() ask for the thread's number, which is the parent's after a fork that it did not see. */
static void signal_self(int number)
{
	signal(number, SIG_DFL);
	kill(getpid(), number);
}

static struct rfork_info check_self(void)
{
	struct rfork_info info = { .rfd = -1 };
	long result = rfork_call(RFORK_INFO, &info, sizeof info);

	if (result < 0 || info.rfd != -1 || info.pid != getpid() || info.reason)
		finding("instance %d: rfork(INFO) of its own group gives %ld, pid %d, reason %u", getpid(), result, info.pid,
			info.reason);
	return info;
}

static void checkpoint(void)
{
	struct rfork_info before = check_self(), after;
	long result = rfork_call(RFORK_CHECKPOINT, NULL, 0);

	if (result < 0 && result != -EAGAIN && result != -ENOMEM && !(threads_made && result == -EBUSY))
		finding("a right rfork(CHECKPOINT) gives error %ld", -result);
	after = check_self();
	if (result == 1 ? after.generation <= before.generation || !(after.flags & RFORK_WARM) :
			  after.generation != before.generation)
		finding("checkpoint gave %ld: generation %llu, then %llu, flags %u", result,
			(unsigned long long)before.generation, (unsigned long long)after.generation, after.flags);
	if (result == 1)
		seed_chance(chance(), after.generation);
}

static void *call_from_thread(void *unused)
{
	struct outcome outcome = { .cmd = RFORK_CHECKPOINT, .allowed = BIT(EBUSY) };

	(void)unused;
	seed_chance(thread_seed, 0);
	outcome.result = rfork_call(RFORK_CHECKPOINT, NULL, 0);
	judge_call(&outcome);
	bad_call();
	return NULL;
}

static void *crash(void *unused)
{
	int *volatile nowhere = (int *)8;

	*nowhere = 1;
	return unused;
}

static void *wait_here(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static void in_thread(void *(*body)(void *), int wait)
{
	pthread_t thread;

	threads_made = 1;
	thread_seed = chance();
	if (pthread_create(&thread, NULL, body, NULL) == 0 && wait)
		pthread_join(thread, NULL);
}

static void run_again(void)
{
	char seed[24], level[8], fails[8];

	snprintf(seed, sizeof seed, "%llu", (unsigned long long)chance());
	snprintf(level, sizeof level, "%d", depth);
	snprintf(fails, sizeof fails, "%d", faulty);
	execl("/init", "instance", seed, level, fails, (char *)NULL);
}

static void orphan(void)
{
	if (fork() == 0) {
		if (one_in(2))
			bad_call();
		nap_us(below(3000));
		_exit(0);
	}
}

static void nest(void)
{
	if (depth <= MAX_DEPTH)
		group_create();
}

static void timer(void)
{
	struct itimerval soon = { .it_value.tv_usec = 1 + below(3000) };

	setitimer(one_in(2) ? ITIMER_REAL : ITIMER_PROF, &soon, NULL);
}

static void change(void)
{
	switch (below(10)) {
	case 0:
		drop_to_user();
		break;
	case 1:
		unshare(one_in(2) ? CLONE_NEWNS : CLONE_NEWUTS | CLONE_NEWIPC);
		break;
	case 2:
		setsid();
		break;
	case 3:
		prctl(PR_SET_DUMPABLE, 0);
		break;
	case 4:
		syscall(SYS_close_range, 0, ~0u, 0);
		break;
	case 5:
		setrlimit(RLIMIT_NPROC, &(struct rlimit){ 1, 1 });
		break;
	case 6:
		mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		break;
	case 7:
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		break;
	case 8:
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		break;
	case 9:
		unshare(CLONE_FILES | CLONE_FS);
		break;
	}
}

static void do_something(void)
{
	switch (below(14)) {
	case 0:
	case 1:
		checkpoint();
		break;
	case 2:
		in_thread(call_from_thread, 1);
		break;
	case 3:
		run_again();
		break;
	case 4:
		orphan();
		break;
	case 5:
		nest();
		break;
	case 6:
		timer();
		break;
	case 7:
	case 8:
		change();
		break;
	case 9:
		in_thread(wait_here, 0);
		break;
	case 10:
		nap_us(below(4000));
		break;
	default:
		bad_call();
		wild_call();
	}
}

static void end_somehow(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, SIGKILL, SIGTERM, SIGINT };

	switch (below(12)) {
	case 0:
	case 1:
		_exit(RFORK_RESTART_STATUS);
	case 2:
		_exit((int)below(256));
	case 3:
		_exit(0);
	case 4:
	case 5:
		crash(NULL);
		break;
	case 6:
	case 7:
		signal_self(signals[below(COUNT_OF(signals))]);
		break;
	case 8:
		in_thread(crash, 1);
		break;
	case 9: /* only this thread: others, where there are any, make the process go on */
		syscall(SYS_exit, 0);
		break;
	case 10:
		__asm__ volatile("ud2");
		break;
	}
}

static void live(void) __attribute__((noreturn));
static void live(void)
{
	struct rfork_info info = check_self();

	seed_chance(chance(), info.generation);
	for (int number = 1; number <= 64; number++)
		signal(number, SIG_DFL);
	for (uint32_t left = below(5); left > 0; left--)
		do_something();
	end_somehow();
	for (;;)
		pause();
}

void instance(void)
{
	depth++;
	for (int i = 0; i < GROUPS; i++)
		group_forget(&groups[i]); /* those of its parent, without their descriptors: it has copies of the numbers */
	live();
}

void instance_after_exec(char **arguments)
{
	share(0);
	seed_chance(strtoull(arguments[1], NULL, 10), 0);
	depth = atoi(arguments[2]);
	faulty = atoi(arguments[3]);
	if (arguments_init() < 0) {
		if (!faulty)
			finding("an instance has no memory for its arguments: error %d", errno);
		_exit(111);
	}
	live();
}
