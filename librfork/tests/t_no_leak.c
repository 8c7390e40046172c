/* SPDX-License-Identifier: MIT */
/* A hundred thousand restarts, cold and from a checkpoint, leave nothing: no task, no open file, no memory, neither of the
 * group's processes nor, where the machine is the test's own, of the kernel's. */
#include "system.h"

#define KB 1024

struct use {
	long tasks, files, free_kb, slab_kb;
};

static long number_after(const char *text, const char *name)
{
	const char *found = strstr(text, name);

	return found ? strtol(found + strlen(name), NULL, 10) : 0;
}

static struct use measure(void)
{
	const char *text = read_text("/proc/loadavg");
	struct use use = { .tasks = number_after(text, "/") };

	use.files = strtol(read_text("/proc/sys/fs/file-nr"), NULL, 10);
	text = read_text("/proc/meminfo");
	use.free_kb = number_after(text, "MemFree:") + number_after(text, "\nBuffers:") + number_after(text, "\nCached:");
	use.slab_kb = number_after(text, "Slab:");
	return use;
}

static void restart(int restarts, int warm, long *grown_kb)
{
	struct rfork_options options = options_for_many();
	struct rfork_event event = { 0 };
	long size = 0;
	int rfd;
	pid_t pid = rfork_create(&options, &rfd);

	CHECK(pid >= 0);
	if (pid == 0) {
		if (warm)
			CHECK(rfork_checkpoint() >= 0);
		if (rfork_generation() < restarts)
			rfork_restart();
		_exit(0);
	}
	/* Nobody waits for us: on a busy machine some events are lost, and their instances not reaped for us. */
	while (event.type != RFORK_EV_END) {
		EQUAL(rfork_next_event(rfd, &event), 1);
		if (!size && event.generation > (uint64_t)restarts / 10)
			size = status_number(pid, "VmRSS");
		if (event.type == RFORK_EV_RESTART && event.generation < (uint64_t)restarts)
			*grown_kb = status_number(pid, "VmRSS") - size;
	}
	EQUAL(event.status, 0);
	EQUAL(event.generation, restarts);
	close(rfd);
	while (waitpid(-1, NULL, __WALL) > 0)
		;
}

/* What the kernel frees later (RCU, caches of each CPU) needs some time, and what it and others do meanwhile some room. */
static void expect_no_more(const struct use *before)
{
	struct use now = { 0 };

	for (int tries = 0; tries < 600; tries++) {
		now = measure();
		if (now.tasks <= before->tasks + 8 && now.files <= before->files + 64 &&
		    now.slab_kb <= before->slab_kb + 2 * KB && now.free_kb >= before->free_kb - 4 * KB)
			return;
		pause_ms(50);
	}
	fprintf(stderr, "tasks %ld to %ld, files %ld to %ld, slab %ld to %ld kB, free %ld to %ld kB\n", before->tasks,
		now.tasks, before->files, now.files, before->slab_kb, now.slab_kb, before->free_kb, now.free_kb);
	_exit(1);
}

int main(void)
{
	int restarts = few_or_all(1000, 100000), descriptors = count_descriptors();
	long grown_kb = 0;
	struct use before;

	restart(200, 0, &grown_kb);	/* so that caches are as full as they get */
	restart(200, 1, &grown_kb);
	before = measure();
	for (int warm = 0; warm < 2; warm++) {
		grown_kb = 0;
		restart(restarts / 2, warm, &grown_kb);
		CHECK(grown_kb <= 64);
	}
	EQUAL(count_descriptors(), descriptors);
	EQUAL(waitpid(-1, NULL, __WALL), -1);
	if (getenv("RFORK_TESTS_MACHINE"))
		expect_no_more(&before);
	return 0;
}
