/* SPDX-License-Identifier: MIT */
/* A component that drops its privileges after the restart point begins with them again, as it must to open what it needs;
 * one that drops them before its checkpoint never has them again. Its parent can still stop it. */
#include "system.h"

#define RESTARTS 10

static void expect_user(uid_t user)
{
	uid_t real, effective, saved;

	CHECK(getresuid(&real, &effective, &saved) == 0);
	EQUAL(real, user);
	EQUAL(effective, user);
	EQUAL(saved, user);
}

static _Noreturn void drops_after(void)
{
	expect_user(0);
	CHECK(open("/proc/self/mem", O_RDWR) >= 0);
	become_user(NOBODY);
	CHECK(setuid(0) < 0);
	if (rfork_generation() < RESTARTS)
		abort();
	for (;;)
		pause();
}

static _Noreturn void drops_before(void)
{
	become_user(NOBODY);
	CHECK(rfork_checkpoint() >= 0);
	expect_user(NOBODY);
	EQUAL(getgroups(0, NULL), 0);
	CHECK(setuid(0) < 0);
	if (rfork_generation() < RESTARTS)
		abort();
	for (;;)
		pause();
}

static void run(void (*component)(void), unsigned int warm)
{
	struct rfork_options options = options_for_many();
	struct rfork_event event = { 0 };
	int rfd;
	pid_t pid = rfork_create(&options, &rfd);

	CHECK(pid >= 0);
	if (pid == 0)
		component();
	if (warm)
		next_event(rfd, RFORK_EV_CHECKPOINT);
	for (int i = 0; i < RESTARTS; i++) {
		event = next_event(rfd, RFORK_EV_RESTART);
		EQUAL(event.flags & ~RFORK_SPARE, warm);
	}
	EQUAL(rfork_stop(rfd, SIGKILL), 0);
	EQUAL(expect_end(rfd, RFORK_END_STOP).old_pid, event.new_pid);
	CHECK(no_such_process(event.new_pid));
	close(rfd);
}

int main(void)
{
	need_root("dropping privileges");
	run(drops_after, 0);
	run(drops_before, RFORK_WARM);
	return 0;
}
