/* SPDX-License-Identifier: MIT */
/* Fuzzing in rounds: some workers at the same time, then everybody is ended and nothing may be left. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harden.h"

#define WORKERS 4
#define ROUND_S 300
#define CLEAN_UP_S 60
#define FAULTY_EACH 4	/* rounds: one with allocations that fail */
#define FAULT_PERCENT "1"
#define LOOK_EACH_S 300	/* for leaks: takes a while */
#define PLENTY 1000000000L
#define FAILSLAB "/sys/kernel/debug/failslab/"
#define FAIL_PAGES "/sys/kernel/debug/fail_page_alloc/"

static void set_faults(const char *folder)
{
	static const char *const values[][2] = {
		{ "probability", FAULT_PERCENT }, { "interval", "1" }, { "task-filter", "Y" }, { "verbose", "0" },
		{ "ignore-gfp-wait", "N" },
	};
	char path[96];

	for (size_t i = 0; i < COUNT_OF(values); i++) {
		snprintf(path, sizeof path, "%s%s", folder, values[i][0]);
		write_file(path, values[i][1]);
	}
	snprintf(path, sizeof path, "%stimes", folder);
	write_number(path, PLENTY);
}

/* The kernel counts down from what it was told may be injected. */
static long faults_left(void)
{
	return read_number(FAILSLAB "times") + read_number(FAIL_PAGES "times");
}

static void become_worker(uint64_t seed, int number, int with_faults)
{
	char group[64];

	snprintf(group, sizeof group, FUZZ_CGROUP "/cgroup.procs");
	if (write_file(group, "0") < 0)
		_exit(111);
	if (arguments_init() < 0)
		fail("arguments"); /* no allocation is made to fail yet */
	faulty = with_faults;
	if (faulty)
		write_file("/proc/self/make-it-fail", "1");
	worker(seed, number);
}

static void check_nothing_left(void)
{
	long long end = now_ms() + 10000;
	long left;

	if (!reap_all(CLEAN_UP_S)) {
		finding("%d tasks left %d s after SIGKILL to all", user_tasks(), CLEAN_UP_S);
		show_tasks("after a round");
		write_file("/proc/sysrq-trigger", "w");
	}
	while ((left = read_number(FUZZ_CGROUP "/pids.current")) > 0 && now_ms() < end)
		nap_us(5000);
	if (left > 0)
		finding("the cgroup of the workers still has %ld tasks charged", left);
}

static void remove_cgroups(void)
{
	char path[300];
	DIR *folder = opendir(FUZZ_CGROUP);

	if (!folder)
		return;
	for (struct dirent *entry; (entry = readdir(folder));) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, FUZZ_CGROUP "/%s", entry->d_name);
		if (rmdir(path) < 0)
			finding("%s cannot be removed: %s", path, strerror(errno));
	}
	closedir(folder);
}

static int workers[WORKERS];

static int workers_left(pid_t gone)
{
	int left = 0;

	for (int i = 0; i < WORKERS; i++) {
		if (workers[i] == gone)
			workers[i] = 0;
		left += workers[i] > 0;
	}
	return left;
}

/* Orphans of theirs come to PID 1 too. */
static void await_workers(void)
{
	static long long told_ms;
	long long end = now_ms() + ROUND_S * 1000LL;

	while (now_ms() < end) {
		pid_t pid = waitpid(-1, NULL, WNOHANG | __WALL);

		if (workers_left(pid) == 0)
			return;
		if (pid <= 0)
			nap_us(2000);
		if (now_ms() - told_ms > 5000) {
			told_ms = now_ms();
			print_counts("progress fuzz");
		}
	}
	finding("a round did not end within %d s", ROUND_S);
	show_tasks("at the end of a round's time");
	write_file("/proc/sysrq-trigger", "w");
}

static void one_round(uint64_t seed)
{
	int with_faults = shared->rounds % FAULTY_EACH == FAULTY_EACH - 1;
	long faults = faults_left();

	for (int i = 0; i < WORKERS; i++) {
		workers[i] = fork();
		if (workers[i] < 0)
			fail("fork");
		if (workers[i] == 0)
			become_worker(seed ^ shared->rounds << 32, i, with_faults);
	}
	await_workers();
	check_nothing_left();
	remove_cgroups();
	shared->faults += faults - faults_left();
	shared->rounds++;
}

void fuzz(uint64_t seed, long long end_ms, unsigned long long calls)
{
	long long looked_ms = now_ms();

	set_faults(FAILSLAB);
	set_faults(FAIL_PAGES);
	write_file(FAIL_PAGES "min-order", "0");
	while (now_ms() < end_ms && (!calls || shared->calls < calls) && !shared->findings) {
		one_round(seed);
		if (now_ms() - looked_ms > LOOK_EACH_S * 1000LL) {
			leaks_look("while fuzzing");
			looked_ms = now_ms();
		}
	}
	write_file(FAILSLAB "probability", "0");
	write_file(FAIL_PAGES "probability", "0");
	leaks_look("after fuzzing");
}
