/* SPDX-License-Identifier: MIT */
/* A restart gives no nice value that setpriority(2) would refuse: one that SCHED_RESET_ON_FORK has taken away does not come
 * back, and what an administrator gave to all processes of a user holds for the next instance too. */
#include "system.h"
#include <sched.h>

#define RESET_ON_FORK 0x40000000
#define RESTARTS 3
#define FAST (-15)

static volatile int *nice_of; /* each instance's */

static int own_nice(void)
{
	return getpriority(PRIO_PROCESS, 0);
}

static void start_group(uint64_t flags, int *rfd)
{
	struct rfork_options options = { .flags = flags, .burst = RFORK_BURST_UNLIMITED };
	pid_t pid;

	memset((void *)nice_of, 0x7f, (RESTARTS + 1) * sizeof *nice_of);
	pid = rfork_create(&options, rfd);
	CHECK(pid >= 0);
	if (pid == 0) {
		nice_of[rfork_generation()] = own_nice();
		for (;;)
			pause();
	}
}

static int ran(int generation)
{
	return nice_of[generation] != 0x7f7f7f7f;
}

static void kick(int rfd)
{
	EQUAL(rfork_kick(rfd, SIGKILL, RFORK_CAUSE_OPERATOR), 0);
	next_event(rfd, RFORK_EV_RESTART);
}

static void reset_on_fork(void)
{
	struct sched_param parameters = { 0 };
	int rfd;

	CHECK(setpriority(PRIO_PROCESS, 0, FAST) == 0);
	if (syscall(SYS_sched_setscheduler, 0, SCHED_OTHER | RESET_ON_FORK, &parameters) < 0)
		_exit(errno == EINVAL ? 0 : 1); /* came with Linux 2.6.32 */
	become_user(own_user());
	start_group(0, &rfd);
	for (int i = 0; i <= RESTARTS; i++) {
		EVENTUALLY(ran(i));
		EQUAL(nice_of[i], 0);
		if (i < RESTARTS)
			kick(rfd);
	}
	stop_group(rfd);
}

/* Templates that sleep, with the nice value of their restart point. */
static int count_ready_templates(void)
{
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	int count = 0;

	CHECK(proc);
	while ((entry = readdir(proc))) {
		pid_t pid = atoi(entry->d_name);

		if (pid > 0 && status_number(pid, "PPid") == getpid() && is_template(pid))
			count += getpriority(PRIO_PROCESS, (id_t)pid) == 0;
	}
	closedir(proc);
	return count;
}

static void renice_user(uid_t user, int value)
{
	pid_t pid = fork();
	int status;

	CHECK(pid >= 0);
	if (pid == 0)
		_exit(setpriority(PRIO_USER, user, value) != 0);
	CHECK(waitpid(pid, &status, 0) == pid);
	EQUAL(status, 0);
}

/* `templates` of them there are to be before it. */
static void reniced(uint64_t flags, int templates, int value)
{
	uid_t user = own_user();
	int rfd, i;

	CHECK(setresuid(user, user, 0) == 0);
	start_group(flags, &rfd);
	EVENTUALLY(ran(0));
	if (is_kernel_level())
		EVENTUALLY(count_ready_templates() == templates);
	CHECK(setresuid(0, 0, 0) == 0);
	EQUAL(nice_of[0], 0);
	/* At the user level the spare may be made right now: setpriority(2) does not find a process that is half forked. */
	for (i = 1; i <= (is_kernel_level() ? 1 : RESTARTS); i++) {
		renice_user(user, value);
		kick(rfd);
		EVENTUALLY(ran(i));
		if (nice_of[i] == value)
			break;
	}
	CHECK(i <= RESTARTS && nice_of[i] == value);
	stop_group(rfd);
}

static void renice_without_spare(void)
{
	reniced(NO_SPARE, 1, 19);
}

static void renice_with_spare(void)
{
	reniced(0, 2, 7);
}

int main(void)
{
	need_root("another nice value");
	nice_of = shared((RESTARTS + 1) * sizeof *nice_of);
	apart(reset_on_fork);
	apart(renice_without_spare);
	apart(renice_with_spare);
	return 0;
}
