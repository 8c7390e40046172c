/* SPDX-License-Identifier: MIT */
/* What only a template holds counts with its instance: out of memory the group is chosen before processes that hold less, and
 * it ends, since the kill of the instance alone frees nothing. In a memory cgroup, or with all memory of a small machine. */
#include "cgroup.h"
#include <sys/sysinfo.h>

#define BLOCK (256ul << 10)

static uint64_t flags;
static int maps_files;
static size_t kept_size, innocent_size, greedy_size;
static volatile int *ready;

/* On old kernels the scale is another. */
static void never_choose_me(int yes)
{
	if (write_text("/proc/self/oom_score_adj", yes ? "-1000" : "0") == -ENOENT)
		CHECK(write_text("/proc/self/oom_adj", yes ? "-17" : "0") == 0);
}

static char *fill(size_t size)
{
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(memory != MAP_FAILED);
	memset(memory, 1, size);
	return memory;
}

/* Counts as memory of the process, but no kill frees it: our own program, again and again. */
static void map_files(size_t size)
{
	struct stat st;
	int fd = open("/proc/self/exe", O_RDONLY);

	CHECK(fd >= 0 && fstat(fd, &st) == 0 && st.st_size >= 4096);
	for (size_t mapped = 0; mapped < size; mapped += (size_t)st.st_size)
		CHECK(mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0) != MAP_FAILED);
}

static _Noreturn void wait_for_ever(void)
{
	for (;;)
		pause();
}

/* Only the template has it afterwards. */
static int make_group(void)
{
	struct rfork_options options = { .flags = flags, .burst = RFORK_BURST_UNLIMITED };
	char *kept = fill(kept_size);
	int rfd;
	pid_t pid = rfork_create(&options, &rfd);

	CHECK(pid >= 0);
	CHECK(munmap(kept, kept_size) == 0);
	if (pid == 0) {
		if (maps_files)
			map_files(kept_size / 2);
		*ready = 1;
		wait_for_ever();
	}
	never_choose_me(1);
	EVENTUALLY(*ready);
	return rfd;
}

static pid_t make_innocent(void)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		never_choose_me(0);
		fill(innocent_size);
		*ready = 2;
		wait_for_ever();
	}
	EVENTUALLY(*ready == 2);
	return pid;
}

/* Takes more memory than there is with the group, and less than there is without. */
static pid_t make_greedy(void)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid > 0)
		return pid;
	never_choose_me(1);
	for (size_t taken = 0; taken < greedy_size; taken += BLOCK)
		fill(BLOCK);
	wait_for_ever();
}

static void run(void)
{
	struct pollfd waiting = { .events = POLLIN };
	struct rfork_event event = { 0 };
	pid_t innocent, greedy;

	if (*cgroup_path)
		cgroup_enter();
	waiting.fd = make_group();
	innocent = make_innocent();
	greedy = make_greedy();
	EVENTUALLY(poll(&waiting, 1, 0) == 1 || waitpid(innocent, NULL, WNOHANG));
	kill(greedy, SIGKILL);
	EQUAL(waitpid(innocent, NULL, WNOHANG), 0);
	EQUAL(rfork_next_event(waiting.fd, &event), 1);
	EQUAL(event.type, RFORK_EV_END);
	EQUAL(event.reason, RFORK_END_EXIT);
	EQUAL(event.cause, RFORK_CAUSE_SIGNAL);
	EQUAL(WTERMSIG(event.status), SIGKILL);
	kill(innocent, SIGKILL);
	CHECK(waitpid(innocent, NULL, 0) == innocent);
	CHECK(waitpid(greedy, NULL, 0) == greedy);
}

/* Of the machine's free memory, or of what the cgroup may have. */
static void set_sizes(size_t memory)
{
	kept_size = memory / 3;
	innocent_size = memory / 12;
	greedy_size = memory / 4 * 3;
}

/* A guest of ours has 256 MB. */
static void measure_machine(void)
{
	struct sysinfo machine;

	need_machine("using up the memory");
	CHECK(sysinfo(&machine) == 0);
	if ((uint64_t)machine.totalram * machine.mem_unit > 600ull << 20)
		SKIP("no memory cgroup, and too much memory to use up");
	set_sizes(machine.freeram * machine.mem_unit);
}

int main(void)
{
	static const uint64_t all[] = { 0, NO_SPARE, RFORK_ON_SIGNAL, RFORK_ON_SIGNAL | NO_SPARE };
	int contained = access(CGROUP_ROOT "/cgroup.controllers", F_OK) == 0;

	if (!is_kernel_level())
		SKIP("at the user level the monitor is an ordinary process");
	ready = shared(sizeof *ready);
	if (contained) {
		cgroup_make("+memory");
		cgroup_write("memory.max", "33554432");
		cgroup_write("memory.oom.group", "0");
		set_sizes(32 << 20);
	} else {
		measure_machine();
	}
	for (size_t i = 0; i < 2 * sizeof all / sizeof *all; i++) {
		flags = all[i / 2];
		maps_files = i % 2;
		*ready = 0;
		apart(run);
	}
	if (contained)
		cgroup_remove();
	return 0;
}
