/* SPDX-License-Identifier: MIT */
/*
 * What waits for its turn (the monitor, the holder of a checkpoint, the next instance) cannot be changed by an instance
 * with the same user; the next instance is as it was at the restart point, in this too.
 */
#include "system.h"
#include <sys/prctl.h>
#include <sys/ptrace.h>

#define WORD 0x600d600dl
#define EVIL 0x0bad0badl

static volatile long word = WORD;

static struct common {
	_Atomic int changed, seen, dumpable;
	_Atomic long word;
} *common;

/* As a core dump and a debugger would want to know. */
static int is_dumpable(void)
{
	return prctl(PR_GET_DUMPABLE);
}

static int change_by_file(pid_t pid)
{
	const long evil = EVIL;
	char path[32];
	int fd, done;

	snprintf(path, sizeof path, "/proc/%d/mem", pid);
	fd = open(path, O_RDWR);
	done = fd >= 0 && pwrite(fd, &evil, sizeof evil, (off_t)&word) == sizeof evil;
	if (fd >= 0)
		close(fd);
	return done;
}

static int change_by_ptrace(pid_t pid)
{
	int done;

	if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) < 0)
		return 0;
	CHECK(waitpid(pid, NULL, __WALL) == pid);
	done = ptrace(PTRACE_POKEDATA, pid, (void *)&word, (void *)EVIL) == 0;
	CHECK(ptrace(PTRACE_DETACH, pid, NULL, NULL) == 0);
	return done;
}

/* Not what keeps the memory of the one that runs: that has no other memory than the latter. */
static int is_keeper(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/comm", pid);
	return !strcmp(read_text(path), "rfork-memory\n");
}

/* How many of the monitor and its other children there are; tries to change each, if told to. */
static int others(pid_t monitor, pid_t self, int change)
{
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	int count = 0;

	CHECK(proc);
	while ((entry = readdir(proc))) {
		pid_t pid = atoi(entry->d_name);

		if (pid <= 0 || pid == self || (pid != monitor && status_number(pid, "PPid") != monitor) || is_keeper(pid))
			continue;
		count++;
		if (change)
			common->changed += change_by_file(pid) + change_by_ptrace(pid);
	}
	closedir(proc);
	return count;
}

/* By a child of the instance: as one that the component has started and that is still there. */
static void change_others(int wanted)
{
	pid_t monitor = getppid(), self = getpid(), child;

	EVENTUALLY(others(monitor, self, 0) == wanted);
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		common->seen = others(monitor, self, 1);
		_exit(0);
	}
	CHECK(waitpid(child, NULL, 0) == child);
}

static void instance(int wanted)
{
	common->dumpable = is_dumpable();
	common->word = word;
	if (rfork_generation())
		_exit(0);
	word = 1;
	change_others(wanted);
	_exit(RFORK_RESTART_STATUS);
}

/* A group of an unprivileged program, restarted from the call or from a checkpoint. */
static void group(int checkpoint, int dumpable)
{
	struct rfork_options options = { .backend = RFORK_BACKEND_USER };
	struct rfork_event event;
	int rfd;
	pid_t pid;

	memset(common, 0, sizeof *common);
	CHECK(prctl(PR_SET_DUMPABLE, dumpable) == 0);
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0) {
		if (checkpoint)
			CHECK(rfork_checkpoint() >= 0);
		EQUAL(is_dumpable(), dumpable);
		instance(checkpoint ? 3 : 2);
	}
	do
		EQUAL(rfork_next_event(rfd, &event), 1);
	while (event.type != RFORK_EV_END);
	EQUAL(event.reason, RFORK_END_EXIT);
	EQUAL(event.generation, 1);
	EQUAL(common->seen, checkpoint ? 3 : 2);
	EQUAL(common->changed, 0);
	EQUAL(common->word, WORD);
	EQUAL(common->dumpable, dumpable);
	close(rfd);
	EQUAL(is_dumpable(), dumpable);
}

int main(void)
{
	need(RFORK_CAN_PROTECT_IMAGE, "POSIX does not protect a process from others of its user");
	if (rfork_backend() == RFORK_BACKEND_KERNEL)
		SKIP("t_ptrace has the kernel's templates");
	need_root("another user");
	common = shared(sizeof *common);
	become_user(own_user());
	group(0, 1);
	group(1, 1);
	group(1, 0);
	return 0;
}
