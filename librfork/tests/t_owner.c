/* SPDX-License-Identifier: MIT */
/* When the parent goes, the group goes; with RFORK_OUTLIVE it lives on and is still
 * restarted. */
#include "testing.h"

struct word {
	volatile pid_t instance;
	volatile int64_t generation;
};

static void run_owner(uint64_t flags, int warm, struct word *word)
{
	struct rfork_options options = { .flags = flags, .burst = RFORK_BURST_UNLIMITED };
	pid_t owner = fork();

	CHECK(owner >= 0);
	if (owner == 0) {
		pid_t pid = rfork_create(&options, NULL);

		CHECK(pid >= 0);
		if (pid == 0) {
			if (warm)
				CHECK(rfork_checkpoint() >= 0);
			word->generation = rfork_generation();
			word->instance = getpid();
			for (;;)
				pause();
		}
		for (;;)
			pause();
	}
	EVENTUALLY(word->instance);
	CHECK(kill(owner, SIGKILL) == 0);
	CHECK(waitpid(owner, NULL, 0) == owner);
}

int main(void)
{
	struct word *word = shared(sizeof *word);
	pid_t first;

	for (int warm = 0; warm < 2; warm++) {
		word->instance = 0;
		run_owner(0, warm, word);
		EVENTUALLY(no_such_process(word->instance));
	}
	word->instance = 0;
	run_owner(RFORK_OUTLIVE, 0, word);
	first = word->instance;
	CHECK(kill(first, SIGSEGV) == 0);
	EVENTUALLY(word->generation == 1 && word->instance != first);
	CHECK(kill(word->instance, SIGKILL) == 0);
	EVENTUALLY(no_such_process(word->instance));
	return 0;
}
