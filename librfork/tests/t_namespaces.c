/* SPDX-License-Identifier: MIT */
/* A group in a PID and mount namespace made at once: PIDs are that namespace's, mounts made before the restart point are
 * there after it, and the group goes with the namespace. */
#define _GNU_SOURCE
#include <sched.h>
#include <sys/mount.h>
#include "system.h"

#define RESTARTS 10

static volatile pid_t *outer;	/* the last instance's PID, as seen from outside */
static volatile int *quiet;

static pid_t pid_outside(void)
{
	char link[32];
	ssize_t got = readlink("/proc/self", link, sizeof link - 1);	/* that /proc is the outer namespace's */

	CHECK(got > 0);
	link[got] = '\0';
	return atoi(link);
}

static _Noreturn void instance(void)
{
	*outer = pid_outside();
	CHECK(getpid() != *outer);
	CHECK(access("mounted/file", F_OK) == 0);
	if (rfork_generation() < RESTARTS)
		abort();
	*quiet = 1;
	for (;;)
		pause();
}

static int first_process(void *unused)
{
	struct rfork_options options = options_for_many();
	struct rfork_event event;
	pid_t pid, last = 0;
	int rfd;

	(void)unused;
	if (getpid() != 1)	/* a kernel that does not know the flag ignores it */
		SKIP("this kernel has no PID namespaces");
	CHECK(mount("none", "mounted", "tmpfs", 0, NULL) == 0);
	close(open("mounted/file", O_CREAT | O_WRONLY, 0600));
	pid = rfork_create(&options, &rfd);
	CHECK(pid > 0 ? pid < 100 : pid == 0);
	if (pid == 0)
		instance();
	for (int i = 0; i < RESTARTS; i++) {
		event = next_event(rfd, RFORK_EV_RESTART);
		CHECK(event.old_pid > 1 && event.old_pid < 100 && event.new_pid < 100);
		CHECK(!last || event.old_pid == last);
		last = event.new_pid;
	}
	EVENTUALLY(*quiet);
	EQUAL(kill(last, 0), 0);
	return 0;
}

/* A reader in another namespace finds the creator's PIDs in the answer, as in events. */
static int reader_elsewhere(void *info)
{
	struct rfork_info *asked = info, got;

	EQUAL(rfork_query(asked->rfd, &got), 0);
	EQUAL(got.pid, asked->pid);
	return 0;
}

static void pids_for_readers_elsewhere(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	struct rfork_info info;
	int rfd, status;
	pid_t pid;

	info.pid = create_waiting(NULL, &rfd);
	if (is_kernel_level()) {
		EQUAL(rfork_kick(rfd, 0, RFORK_CAUSE_OPERATOR), 0);
		info.pid = next_event(rfd, RFORK_EV_RESTART).new_pid;
	} else {
		EQUAL(rfork_query(rfd, &info), 0);
	}
	info.rfd = rfd;
	pid = clone(reader_elsewhere, stack + sizeof stack, CLONE_NEWPID | SIGCHLD, &info);
	CHECK(pid > 0);
	CHECK(waitpid(pid, &status, 0) == pid);
	EQUAL(status, 0);
	stop_group(rfd);
	close(rfd);
}

/* Children would be of a namespace that the caller is not of. */
static void refused_after_unshare(void)
{
	int rfd = -7;

	CHECK(unshare(CLONE_NEWPID) == 0);
	EQUAL(rfork_create(NULL, &rfd), -EINVAL);
	EQUAL(rfd, -7);
	EQUAL(waitpid(-1, NULL, __WALL), -1);
}

int main(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	int status;
	pid_t pid;

	need_root("a namespace");
	outer = shared(sizeof *outer);
	quiet = shared(sizeof *quiet);
	CHECK(mkdir("mounted", 0700) == 0);
	pid = clone(first_process, stack + sizeof stack, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, NULL);
	if (pid < 0 && errno == EINVAL)
		SKIP("this system makes no namespaces");
	CHECK(pid > 0);
	CHECK(waitpid(pid, &status, 0) == pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		_exit(77);
	EQUAL(status, 0);
	EVENTUALLY(no_such_process(*outer));
	pids_for_readers_elsewhere();
	if (can(RFORK_CAN_CHECK_NAMESPACE))
		apart(refused_after_unshare);
	return 0;
}
