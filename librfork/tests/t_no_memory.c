/* SPDX-License-Identifier: MIT */
/* Where the kernel will not promise the memory for a copy, rfork and checkpoint fail with ENOMEM, nothing is left of
 * them, and with the memory given back they work. */
#include "system.h"
#include <sys/sysinfo.h>

#define PARTS 5

static char *too_much;
static size_t size;

/* Each part is less than the machine has, so it may be had; as neighbours they become one mapping, which fork(2) finds
 * to be more. Nothing is touched. */
static void take_too_much(void)
{
	struct sysinfo machine;

	CHECK(sysinfo(&machine) == 0);
	if ((uint64_t)(machine.totalram + machine.totalswap) * machine.mem_unit > SIZE_MAX / 2)
		SKIP("the machine has more memory than this program has addresses");
	size = (size_t)((uint64_t)(machine.totalram + machine.totalswap) * machine.mem_unit / 4) & ~4095ul;
	too_much = mmap(NULL, PARTS * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(too_much != MAP_FAILED);
	for (int i = 0; i < PARTS; i++)
		CHECK(mprotect(too_much + i * size, size, PROT_READ | PROT_WRITE) == 0);
}

static void give_back(void)
{
	CHECK(munmap(too_much, PARTS * size) == 0);
}

static void expect_group(void)
{
	struct rfork_options options = options_for_many();
	int rfd;
	pid_t pid = rfork_create(&options, &rfd);

	CHECK(pid >= 0);
	if (pid == 0) {
		if (rfork_generation() == 0) {
			take_too_much();
			EQUAL(rfork_checkpoint(), -ENOMEM);
			give_back();
		}
		CHECK(rfork_checkpoint() >= 0);
		if (rfork_generation() < 3)
			rfork_restart();
		_exit(0);
	}
	next_event(rfd, RFORK_EV_CHECKPOINT);
	for (int i = 0; i < 3; i++)
		EQUAL(next_event(rfd, RFORK_EV_RESTART).flags & ~RFORK_SPARE, RFORK_WARM);
	EQUAL(expect_end(rfd, RFORK_END_EXIT).status, 0);
	close(rfd);
}

int main(void)
{
	int rfd = -7, descriptors = count_descriptors();

	if (read_text("/proc/sys/vm/overcommit_memory")[0] == '1')
		SKIP("/proc/sys/vm/overcommit_memory is 1: this machine promises any amount");
	take_too_much();
	for (int i = 0; i < 100; i++)
		EQUAL(rfork_create(NULL, &rfd), -ENOMEM);
	give_back();
	EQUAL(count_descriptors(), descriptors);
	EQUAL(waitpid(-1, NULL, __WALL), -1);
	expect_group();
	return 0;
}
