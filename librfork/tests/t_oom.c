/* SPDX-License-Identifier: MIT */
/* Out of memory, the instance is chosen and restarted, although its template looks the better victim; that one is never taken
 * before it. The same if the cgroup asks for all of its processes to be killed (memory.oom.group). In a memory cgroup, or where there is none with all memory of a small machine. */
#include "cgroup.h"
#include <sys/sysinfo.h>

#define BLOCK (1 << 20)
#define ROUNDS 3

static volatile int *runs;

/* -1: never to be chosen; 1: first of all. On old kernels the scale is another. */
static void set_victim(int how)
{
	if (write_text("/proc/self/oom_score_adj", how < 0 ? "-1000" : how ? "1000" : "0") == -ENOENT)
		CHECK(write_text("/proc/self/oom_adj", how < 0 ? "-17" : how ? "15" : "0") == 0);
}

static _Noreturn void use_all_memory(void)
{
	for (;;) {
		/* Unreserved: mmap(2) itself is not to refuse the last block, which old kernels do. */
		int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
		char *block = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, flags, -1, 0);

		CHECK(block != MAP_FAILED);
		memset(block, 1, BLOCK);
	}
}

static void run(void)
{
	struct rfork_options options = { .flags = RFORK_ON_SIGNAL, .burst = RFORK_BURST_UNLIMITED };
	int rfd;
	pid_t pid;

	if (*cgroup_path)
		cgroup_enter();
	set_victim(is_kernel_level());
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0) {
		set_victim(0);
		(*runs)++;
		if (rfork_generation() == ROUNDS)
			_exit(0);
		use_all_memory();
	}
	set_victim(-1);
	for (int i = 0; i < ROUNDS; i++) {
		struct rfork_event event = next_event(rfd, RFORK_EV_RESTART);

		EQUAL(event.cause, RFORK_CAUSE_SIGNAL);
		EQUAL(WTERMSIG(event.status), SIGKILL);
	}
	EQUAL(expect_end(rfd, RFORK_END_EXIT).status, 0);
	EQUAL(*runs, ROUNDS + 1);
}

/* A guest of ours has 256 MB. */
static void need_small_machine(void)
{
	struct sysinfo machine;

	need_machine("using up the memory");
	CHECK(sysinfo(&machine) == 0);
	if ((uint64_t)machine.totalram * machine.mem_unit > 600ull << 20)
		SKIP("no memory cgroup, and too much memory to use up");
}

int main(void)
{
	int contained = access(CGROUP_ROOT "/cgroup.controllers", F_OK) == 0;

	runs = shared(sizeof *runs);
	if (contained) {
		cgroup_make("+memory");
		cgroup_write("memory.max", "33554432");
		cgroup_write("memory.oom.group", "0");
	} else {
		need_small_machine();
	}
	apart(run);
	if (contained && is_kernel_level()) {
		cgroup_write("memory.oom.group", "1");
		*runs = 0;
		apart(run);
	}
	if (contained)
		cgroup_remove();
	return 0;
}
