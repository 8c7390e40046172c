/* SPDX-License-Identifier: MIT */
/* What stands by for a restart is accounted to its user: a group counts two of RLIMIT_NPROC; at the limit a group is
 * refused and nothing is left of it; and whatever has ended no longer counts. */
#include "system.h"

#define GROUPS 100

/* 0 or -errno. */
static int try_fork(void)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(0);
	CHECK(waitpid(pid, NULL, 0) == pid);
	return 0;
}

/* The last of the one before may still be leaving when its end is told. */
static void one_group(uint64_t restarts)
{
	struct rfork_options options = { .flags = NO_SPARE, .burst = RFORK_BURST_UNLIMITED };
	int rfd;
	pid_t pid;

	EVENTUALLY((pid = rfork_create(&options, &rfd)) != -EAGAIN);
	CHECK(pid >= 0);
	if (pid == 0) {
		if ((uint64_t)rfork_generation() < restarts)
			rfork_restart();
		_exit(0);
	}
	for (uint64_t i = 0; i < restarts; i++)
		next_event(rfd, RFORK_EV_RESTART);
	expect_end(rfd, RFORK_END_EXIT);
	close(rfd);
}

static void given_back(void)
{
	become_user(own_user());
	limit_tasks(4);	/* us, a group, and the old instance until it is reaped */
	for (int i = 0; i < GROUPS; i++)
		one_group(2);
	limit_tasks(2);
	EVENTUALLY(try_fork() == 0);
}

static void counted(void)
{
	struct rfork_options options = { .flags = NO_SPARE };
	int rfd;

	become_user(own_user());
	create_waiting(&options, &rfd);
	limit_tasks(3);
	EQUAL(try_fork(), -EAGAIN);
	stop_group(rfd);
	EVENTUALLY(try_fork() == 0);
}

static void refused(void)
{
	int rfd = -7, descriptors = count_descriptors();

	become_user(own_user());
	limit_tasks(2);
	for (int i = 0; i < GROUPS; i++)
		EQUAL(rfork_create(NULL, &rfd), -EAGAIN);
	EVENTUALLY(try_fork() == 0);
	EQUAL(rfd, -7);
	EQUAL(waitpid(-1, NULL, __WALL), -1);
	EQUAL(count_descriptors(), descriptors);
}

int main(void)
{
	need_root("a user of its own");
	need_exact_tasks();
	apart(given_back);
	apart(counted);
	apart(refused);
	return 0;
}
