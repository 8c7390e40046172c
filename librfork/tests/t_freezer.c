/* SPDX-License-Identifier: MIT */
/* A cgroup with a group in it freezes: the template counts as frozen. What fails meanwhile is restarted after the thaw. */
#include "cgroup.h"

static volatile int *beats;

static _Noreturn void instance(void)
{
	for (;;) {
		(*beats)++;
		pause_ms(1);
	}
}

static int is_frozen(void)
{
	return strstr(cgroup_read("cgroup.events"), "frozen 1") != NULL;
}

static void expect_beats(void)
{
	int now = *beats;

	EVENTUALLY(*beats > now + 2);
}

/* At the user level it would be the frozen monitor that has to see to it. */
static void freeze_and_fail(int rfd)
{
	struct rfork_info info;

	EQUAL(rfork_query(rfd, &info), 0);
	cgroup_write("cgroup.freeze", "1");
	EVENTUALLY(is_frozen());
	if (is_kernel_level())
		CHECK(kill(info.pid, SIGKILL) == 0);
	cgroup_write("cgroup.freeze", "0");
	EVENTUALLY(!is_frozen());
	if (is_kernel_level())
		EQUAL(next_event(rfd, RFORK_EV_RESTART).old_pid, info.pid);
}

static void run(void)
{
	struct rfork_options options = { .flags = RFORK_ON_SIGNAL, .burst = RFORK_BURST_UNLIMITED };
	int rfd;
	pid_t pid;

	cgroup_enter();
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0)
		instance();
	EQUAL(write_text(CGROUP_ROOT "/cgroup.procs", "0"), 0);
	for (int i = 0; i < 5; i++) {
		expect_beats();
		freeze_and_fail(rfd);
	}
	expect_beats();
	stop_group(rfd);
}

int main(void)
{
	beats = shared(sizeof *beats);
	cgroup_make("+pids");
	apart(run);
	cgroup_remove();
	return 0;
}
