/* SPDX-License-Identifier: MIT */
/* Between two instances too, a process that may not signal them can neither stop nor restart the group: EPERM, also for one with
 * every capability in a user namespace of its own. */
#define _GNU_SOURCE
#include <sched.h>
#include "system.h"

static struct {
	volatile int rfd;
	volatile int crash;
	volatile int done;
} *shared_state;

/* The template finds no room under the limit for its copy, and tries for some 80 ms. */
static int owner(void *unused)
{
	struct rfork_options options = { .flags = NO_SPARE, .burst = RFORK_BURST_UNLIMITED };
	struct rfork_event event = { 0 };
	int rfd;
	pid_t pid;

	(void)unused;
	become_user(own_user());
	limit_tasks(3);
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0) {
		while (rfork_generation() || !shared_state->crash)
			pause_ms(1);
		abort();
	}
	shared_state->rfd = rfd;
	EVENTUALLY(shared_state->done);
	EQUAL(rfork_stop(rfd, SIGKILL), 0);
	while (event.type != RFORK_EV_END)
		EQUAL(rfork_next_event(rfd, &event), 1);
	EQUAL(event.reason, RFORK_END_STOP);
	return 0;
}

/* Returns how often it asked while there was no instance. */
static int ask_between(int rfd)
{
	struct rfork_info before, after;
	int between = 0;

	shared_state->crash = 1;
	do {
		EQUAL(rfork_query(rfd, &before), 0);
		EQUAL(rfork_stop(rfd, 0), -EPERM);
		EQUAL(rfork_kick(rfd, 0, RFORK_CAUSE_OPERATOR), -EPERM);
		EQUAL(rfork_query(rfd, &after), 0);
		between += !before.pid && !after.pid;
	} while (after.generation == 0);
	return between;
}

static void stranger(void)
{
	become_user(NOBODY);
	CHECK(ask_between(shared_state->rfd));
}

static void stranger_in_namespace(void)
{
	become_user(NOBODY);
	if (unshare(CLONE_NEWUSER) < 0)
		SKIP("this kernel gives no user namespaces to users");
	CHECK(ask_between(shared_state->rfd));
}

/* Shares its descriptors with the group's parent, which has another user. */
static void with_group(void (*what)(void))
{
	static char stack[65536] __attribute__((aligned(16)));
	int status;
	pid_t pid;

	memset(shared_state, 0, sizeof *shared_state);
	pid = clone(owner, stack + sizeof stack, CLONE_FILES | SIGCHLD, NULL);
	CHECK(pid > 0);
	EVENTUALLY(shared_state->rfd);
	apart(what);
	shared_state->done = 1;
	CHECK(waitpid(pid, &status, 0) == pid);
	EQUAL(status, 0);
	close(shared_state->rfd);
}

int main(void)
{
	need_root("being two users");
	if (!is_kernel_level())
		SKIP("the monitor always has a process that answers for the group");
	shared_state = shared(sizeof *shared_state);
	with_group(stranger);
	with_group(stranger_in_namespace);
	return 0;
}
