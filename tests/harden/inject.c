/* SPDX-License-Identifier: MIT */
/*
 * Systematic fault injection: /proc/PID/fail-nth makes the Nth allocation or access to user memory of a task, counted
 * from then on, fail (the kernel's Documentation/fault-injection/). N counts up until the call is through before it is
 * reached: then each has failed once. Every failure must be clean, and nothing may be left of it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harden.h"
#include "inject.h"

#define MOST 5000 /* more than any call allocates */
#define SETTLE_MS 20000
#define SCENARIO_S 1500
#define BACKGROUND_MS 3000
#define CGROUP_HERE CGROUP "/inject"

static void set_kinds(const char *folder)
{
	static const char *const values[][2] = {
		{ "ignore-gfp-wait", "N" }, { "ignore-gfp-highmem", "N" }, { "min-order", "0" }, { "verbose", "0" },
		{ "probability", "0" },	    { "times", "-1" },
	};
	char path[96];

	for (size_t i = 0; i < COUNT_OF(values); i++) {
		snprintf(path, sizeof path, "/sys/kernel/debug/%s/%s", folder, values[i][0]);
		write_file(path, values[i][1]);
	}
}

static void nth_path(char *path, size_t size, pid_t pid)
{
	if (pid)
		snprintf(path, size, "/proc/%d/fail-nth", pid);
	else
		snprintf(path, size, "/proc/thread-self/fail-nth");
}

static int own_nth = -1; /* opened before: to open a file allocates, too */

/* The descriptor of the process that this one is a copy of is of that one's file. */
void own_faults(void)
{
	close(own_nth);
	own_nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
}

void arm(long nth)
{
	char text[24];
	int size = snprintf(text, sizeof text, "%ld", nth);

	if (own_nth < 0)
		own_faults();
	if (pwrite(own_nth, text, size, 0) != size)
		finding("fail-nth cannot be set: error %d", errno);
}

/* Whether the fault came while armed. Where it comes only now, in reading this, it did not. */
int disarm(void)
{
	char text[24] = "";
	ssize_t size = pread(own_nth, text, sizeof text - 1, 0);

	while (pwrite(own_nth, "0", 1, 0) != 1)
		;
	return size > 0 && text[0] == '0';
}

void arm_other(pid_t pid, long nth)
{
	char path[64];

	nth_path(path, sizeof path, pid);
	if (write_number(path, nth) < 0)
		finding("fail-nth of %d cannot be set: error %d", pid, errno);
}

int fired_in_other(pid_t pid)
{
	char path[64];

	nth_path(path, sizeof path, pid);
	return read_number(path) == 0;
}

/* What works in the background may take a moment; whether the fault came within it. */
int await_fault(pid_t pid)
{
	long long end = now_ms() + BACKGROUND_MS;

	while (!fired_in_other(pid) && now_ms() < end)
		nap_us(1000);
	return fired_in_other(pid);
}

/* Every allocation of one process, and of no other; 0: of none any more. Its copies fail too, so it must make none. */
void fail_all_of(pid_t pid)
{
	static const char *const folders[] = { "failslab", "fail_page_alloc" };
	char path[96];

	for (size_t i = 0; i < COUNT_OF(folders); i++) {
		snprintf(path, sizeof path, "/sys/kernel/debug/%s/task-filter", folders[i]);
		write_file(path, "Y");
		snprintf(path, sizeof path, "/sys/kernel/debug/%s/probability", folders[i]);
		write_file(path, pid ? "100" : "0");
	}
	snprintf(path, sizeof path, "/proc/%d/make-it-fail", pid);
	if (pid && write_file(path, "1") < 0)
		finding("make-it-fail of %d cannot be set: error %d", pid, errno);
}

static int by_number(const void *a, const void *b)
{
	return *(const pid_t *)a - *(const pid_t *)b;
}

/* Everybody here besides this process, and that is in its cgroup. */
static int others_here(pid_t *list, int most)
{
	char text[1024];
	int count = 0;

	read_text(CGROUP_HERE "/cgroup.procs", text, sizeof text);
	for (char *line = strtok(text, "\n"); line && count < most; line = strtok(NULL, "\n")) {
		pid_t pid = (pid_t)strtol(line, NULL, 10);

		if (pid != getpid())
			list[count++] = pid;
	}
	return count;
}

/* By PID: the first is the next instance, the second the spare that becomes its template. */
static pid_t find_nth_template(int nth)
{
	pid_t list[16];
	int count = others_here(list, COUNT_OF(list));

	qsort(list, (size_t)count, sizeof *list, by_number);
	for (int i = 0; i < count; i++)
		if (is_template(list[i]) && nth-- == 0)
			return list[i];
	return 0;
}

pid_t find_template(void)
{
	return find_nth_template(0);
}

pid_t find_second_template(void)
{
	return find_nth_template(1);
}

/* No child to wait for, nobody else charged to the cgroup, and no descriptor more than before. */
void check_clean(const char *what, long nth, int lowest)
{
	long long end = now_ms() + SETTLE_MS;
	long charged;
	int fd;

	while (waitpid(-1, NULL, WNOHANG | __WALL) >= 0 && now_ms() < end)
		nap_us(500);
	while ((charged = read_number(CGROUP_HERE "/pids.current")) != 1 && now_ms() < end)
		nap_us(500);
	if (charged != 1 || waitpid(-1, NULL, WNOHANG | __WALL) >= 0) {
		finding("%s with fault %ld leaves tasks: %ld are charged", what, nth, charged);
		show_tasks("after a fault");
		kill_children(10);
	}
	fd = dup(0);
	if (fd != lowest)
		finding("%s with fault %ld leaves descriptor %d", what, nth, lowest);
	close(fd);
}

int lowest_descriptor(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

static void run_nth(const struct scenario *scenario)
{
	int lowest;

	if (scenario->prepare)
		scenario->prepare();
	arm(0);
	lowest = lowest_descriptor();
	for (long nth = 1; nth < MOST && !shared->findings; nth++) {
		int fired = scenario->once(nth);

		check_clean(scenario->name, nth, lowest);
		shared->faults += fired;
		atomic_store(&shared->reached, nth);
		if (!fired && nth >= scenario->at_least)
			_exit(0);
	}
	finding("%s: faults without end", scenario->name);
	_exit(1);
}

/* In a process of its own, in a cgroup of its own. */
static void run_scenario(const struct scenario *scenario)
{
	long long end = now_ms() + SCENARIO_S * 1000LL;
	pid_t pid = fork();

	if (pid == 0) {
		write_file(CGROUP_HERE "/cgroup.procs", "0");
		run_nth(scenario);
	}
	while (waitpid(pid, NULL, WNOHANG) == 0 && now_ms() < end) {
		static long long told_ms;

		if (now_ms() - told_ms > 5000) {
			told_ms = now_ms();
			print_counts("progress inject");
		}
		nap_us(20000);
	}
	if (now_ms() >= end)
		finding("%s hangs", scenario->name);
	if (!reap_all(60))
		finding("%s leaves %d tasks", scenario->name, user_tasks());
	printf("harden: injected %s: %ld faults in turn\n", scenario->name, (long)shared->reached);
}

void inject(void)
{
	mkdir(CGROUP_HERE, 0755);
	if (access("/proc/self/fail-nth", W_OK) < 0) {
		printf("harden: error: this kernel injects no faults: CONFIG_FAULT_INJECTION\n");
		return;
	}
	set_kinds("failslab");
	set_kinds("fail_page_alloc");
	set_kinds("fail_usercopy");
	for (const struct scenario *scenario = scenarios; scenario->name; scenario++)
		run_scenario(scenario);
	leaks_look("after injecting faults");
}
