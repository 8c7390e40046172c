/* SPDX-License-Identifier: MIT */
/* The thousandth restart begins from the same memory and arguments as the first, cold
 * and from a checkpoint, and leaves no process and no descriptor behind. */
#include "testing.h"

#define RESTARTS 1000
#define BLOCK 65536

static int runs;
static uint64_t *block;

/* By words: twice a thousand times a byte at a time is long where the CPU is emulated. */
static uint64_t sum(const uint64_t *memory)
{
	uint64_t total = 0;

	for (size_t i = 0; i < BLOCK / sizeof *memory; i++)
		total = total * 31 + memory[i];
	return total;
}

static void check_memory(int argument, uint64_t wanted)
{
	char *more = malloc(1000);

	EQUAL(argument, 42);
	EQUAL(++runs, 1);
	EQUAL(sum(block), wanted);
	CHECK(more);
	memset(more, 0x55, 1000);
	memset(block, (int)rfork_generation(), BLOCK);
}

static _Noreturn void instance(int argument, uint64_t wanted, int warm)
{
	if (warm)
		CHECK(rfork_checkpoint() >= 0);
	check_memory(argument, wanted);
	if (rfork_generation() < RESTARTS)
		rfork_restart();
	_exit(0);
}

static void round_of(int warm)
{
	struct rfork_options options = options_for_many();
	int descriptors = count_descriptors(), rfd;
	uint64_t wanted = sum(block);
	pid_t pid = rfork_create(&options, &rfd);

	CHECK(pid >= 0);
	if (pid == 0)
		instance(42, wanted, warm);
	follow_to_exit(rfd, RESTARTS);
	close(rfd);
	EQUAL(count_descriptors(), descriptors);
}

int main(void)
{
	block = malloc(BLOCK);
	CHECK(block);
	for (int i = 0; i < BLOCK; i++)
		((unsigned char *)block)[i] = (unsigned char)(i * 7);
	round_of(0);
	round_of(1);
	return 0;
}
