/* SPDX-License-Identifier: MIT */
/* What stands by for a restart is accounted to the cgroup of the restart point, and a restarted instance is in it; at
 * pids.max a group is refused; cgroup.kill ends a group for good; nothing keeps an empty cgroup. */
#include "cgroup.h"

static volatile int *quiet;

static int start(uint64_t restarts, pid_t *pid)
{
	struct rfork_options options = { .flags = RFORK_ON_SIGNAL | NO_SPARE, .burst = RFORK_BURST_UNLIMITED };
	int rfd = -1;

	*quiet = 0;
	*pid = rfork_create(&options, &rfd);
	if (*pid == 0) {
		if ((uint64_t)rfork_generation() < restarts)
			abort();
		*quiet = 1;
		for (;;)
			pause();
	}
	return rfd;
}

static void accounted(void)
{
	pid_t pid;
	int rfd;

	cgroup_enter();
	EQUAL(cgroup_number("pids.current"), 1);
	rfd = start(10, &pid);
	CHECK(pid > 0);
	for (int i = 0; i < 10; i++)
		next_event(rfd, RFORK_EV_RESTART);
	EVENTUALLY(*quiet);
	EQUAL(cgroup_number("pids.current"), 3);
	stop_group(rfd);
	EVENTUALLY(cgroup_number("pids.current") == 1);
}

static void refused(void)
{
	pid_t pid;

	cgroup_enter();
	cgroup_write("pids.max", "2");
	for (int i = 0; i < 20; i++) {
		start(0, &pid);
		EQUAL(pid, -EAGAIN);
	}
	EQUAL(waitpid(-1, NULL, __WALL), -1);
	EVENTUALLY(cgroup_number("pids.current") == 1);
	cgroup_write("pids.max", "max");
}

/* The owner is outside, as a supervisor is, and hears of it. On several CPUs the instance may be restarted once before the
 * kernel comes to its template. */
static void killed(void)
{
	struct rfork_event event = { 0 };
	pid_t pid;
	int rfd;

	cgroup_enter();
	rfd = start(0, &pid);
	CHECK(pid > 0);
	EQUAL(write_text(CGROUP_ROOT "/cgroup.procs", "0"), 0);
	EVENTUALLY(*quiet);
	cgroup_write("cgroup.kill", "1");
	EQUAL(rfork_next_event(rfd, &event), 1);
	if (is_kernel_level() && event.type == RFORK_EV_RESTART)
		EQUAL(rfork_next_event(rfd, &event), 1);
	EQUAL(event.type, RFORK_EV_END);
	/* at user level its monitor has been killed as well */
	EQUAL(event.reason, is_kernel_level() ? RFORK_END_STOP : RFORK_END_NO_IMAGE);
	EVENTUALLY(strstr(cgroup_read("cgroup.events"), "populated 0"));
}

int main(void)
{
	quiet = shared(sizeof *quiet);
	cgroup_make("+pids");
	apart(accounted);
	apart(refused);
	apart(killed);
	cgroup_remove();
	return 0;
}
