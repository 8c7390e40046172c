/* SPDX-License-Identifier: MIT */
/* Processes that own groups for a moment: in namespaces, without privileges, with threads, and soon gone. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harden.h"

#define OWNER_S 90

static void few_steps(void)
{
	for (uint32_t left = 1 + below(4); left > 0; left--) {
		struct owned_group *group = group_any();

		if (!group)
			group_create();
		else if (one_in(2))
			group_control(group);
		else
			kill(group->last, one_in(2) ? SIGKILL : SIGSEGV);
		nap_us(below(2000));
	}
}

/* Its children would be in another PID namespace: no group can be made. */
static void unshared(void)
{
	struct rfork_args args = { .exit_signal = SIGCHLD };
	struct outcome outcome = { .cmd = RFORK_CREATE, .allowed = BIT(EINVAL) };

	if (unshare(CLONE_NEWPID) < 0)
		return;
	outcome.result = rfork_call(RFORK_CREATE, &args, sizeof args);
	judge_call(&outcome);
}

/* PID 1 of a namespace: when it goes, all in it go. */
static void first_of_namespace(void)
{
	pid_t pid;

	if (unshare(CLONE_NEWPID | (one_in(2) ? CLONE_NEWNS : 0) | (one_in(2) ? CLONE_NEWIPC : 0)) < 0)
		return;
	pid = fork();
	if (pid == 0) {
		few_steps();
		_exit(0);
	}
	if (pid > 0)
		reap(pid, OWNER_S);
}

static void other_user(void)
{
	if (one_in(2))
		few_steps();
	prctl(PR_SET_DUMPABLE, below(2));
	drop_to_user();
	few_steps();
}

static void *second_thread(void *seed)
{
	seed_chance(*(uint64_t *)seed, 0);
	for (uint32_t left = 1 + below(6); left > 0; left--)
		bad_call();
	few_steps();
	return NULL;
}

/* Two threads that share a table of groups without a lock would be a bug of ours: one makes them, one only calls. */
static void threads(void)
{
	static uint64_t seed;
	pthread_t thread;

	seed = chance();
	if (pthread_create(&thread, NULL, second_thread, &seed))
		return;
	for (uint32_t left = 8; left > 0; left--)
		call_with_descriptor((int)below(16));
	if (one_in(2))
		pthread_join(thread, NULL);
}

static void large(void)
{
	for (int i = 0; i < 64; i++)
		mmap(NULL, 4096u << below(6), one_in(2) ? PROT_READ : PROT_READ | PROT_WRITE,
		     (one_in(4) ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS | (one_in(2) ? MAP_POPULATE : 0), -1, 0);
	mlockall(one_in(2) ? MCL_CURRENT : MCL_FUTURE);
	few_steps();
}

static void few_descriptors(void)
{
	struct rlimit limit = { below(12), 64 };

	setrlimit(RLIMIT_NOFILE, &limit);
	few_steps();
}

/* It goes without a word about its groups. */
void short_owner(void)
{
	static void (*const kinds[])(void) = { few_steps, unshared, first_of_namespace, other_user, threads, large,
					       few_descriptors };
	void (*kind)(void) = kinds[below(COUNT_OF(kinds))];
	pid_t pid = fork();

	if (pid == 0) {
		for (int i = 0; i < GROUPS; i++)
			group_forget(&groups[i]);
		kind();
		_exit(0);
	}
	if (pid > 0)
		reap(pid, OWNER_S);
}
