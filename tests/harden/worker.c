/* SPDX-License-Identifier: MIT */
/* A worker: a process that makes calls at random, good and bad, for a number of steps that its seed decides. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harden.h"

#define STEPS 120
#define CALLS 300000
#define CALLS_NICE (-15)
#define CLEAN_UP_S 60

static int others[8]; /* descriptors of other things */

static void open_others(void)
{
	int pipes[2] = { -1, -1 };

	(void)!pipe2(pipes, O_CLOEXEC);
	others[0] = pipes[0];
	others[1] = pipes[1];
	others[2] = open("/dev/null", O_RDWR | O_CLOEXEC);
	others[3] = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	others[4] = open("/", O_PATH | O_CLOEXEC);
	others[5] = -1;
	others[6] = 1 << 20;
	others[7] = (int)0x80000000;
}

/* They make no group, but for a wild one now and then. */
static void bad_calls(uint32_t number)
{
	for (; number > 0; number--)
		switch (below(4)) {
		case 0:
			wild_call();
			break;
		case 1:
			call_with_descriptor(others[below(COUNT_OF(others))]);
			break;
		default:
			bad_call();
		}
}

static void reap_some(void)
{
	int kinds[] = { WNOHANG, WNOHANG | __WALL, WNOHANG | __WCLONE, WNOHANG | __WALL | WUNTRACED | WCONTINUED };

	while (waitpid(-1, NULL, kinds[below(COUNT_OF(kinds))]) > 0)
		;
}

/* Near the limit of tasks a call must fail cleanly; root is under none, so it is another user's process that tries. */
static void limited(void)
{
	struct rlimit few = { below(8), 100 };
	pid_t pid = fork();
	int rfd;
	struct rfork_args args = { .rfd = (uintptr_t)&rfd, .exit_signal = SIGCHLD };

	if (pid == 0) {
		setrlimit(RLIMIT_NPROC, &few);
		drop_to_user();
		for (int i = 0; i < 3; i++)
			rfork_call(RFORK_CREATE, &args, sizeof args);
		_exit(0);
	}
	if (pid > 0)
		reap(pid, CLEAN_UP_S);
}

static void with_group(struct owned_group *group)
{
	switch (below(8)) {
	case 0:
	case 1:
		group_control(group);
		break;
	case 2:
		send_signal(group->last, (int)below(65));
		break;
	case 3:
		if (one_in(8))
			group_forget(group);
		break;
	case 4:
		nap_us(below(3000));
		break;
	default:
		meddle(group);
	}
	group_read(group);
	if (group->ended)
		group_forget(group);
}

static void step(void)
{
	struct owned_group *group = group_any();

	reap_some();
	if (!group)
		group_create();
	else
		with_group(group);
	bad_calls(64 + below(256)); /* a group takes the kernel as long as hundreds of them */
	if (one_in(24))
		short_owner();
	if (one_in(60))
		limited();
	if (one_in(4))
		call_with_descriptor(group && group->used ? group->rfd : others[0]);
}

static void end_tidily(void)
{
	meddle_end();
	groups_stop();
	if (!kill_children(CLEAN_UP_S)) {
		finding("children left %d s after SIGKILL", CLEAN_UP_S);
		show_tasks("as a worker's children");
	}
}

/*
 * The first worker makes nothing but calls, beside the others' groups, whose tasks would hardly let it. Of those, two
 * of three clean up, and the others die as owners of whatever they have.
 */
void worker(uint64_t seed, int number)
{
	uint32_t steps;

	seed_chance(seed, (uint64_t)number + 1);
	setsid();
	for (int signal_number = 1; signal_number <= 64; signal_number++)
		if (signal_number != SIGCHLD)
			signal(signal_number, SIG_IGN); /* exit signals of its own choice */
	open_others();
	meddle_init(number);
	if (number == 0) {
		setpriority(PRIO_PROCESS, 0, CALLS_NICE);
		bad_calls(CALLS / 2 + below(CALLS));
	}
	steps = number == 0 ? 0 : STEPS / 2 + below(STEPS);
	while (steps-- > 0)
		step();
	if (!one_in(3))
		end_tidily();
	_exit(0);
}
