/* SPDX-License-Identifier: MIT */
/* Readiness on a descriptor, which the component writes as it likes: the marks of instances and newlines. */
#include "../../run/run.h"
#include "fuzz.h"
#include <unistd.h>

void fuzz_one(const char *data, size_t size)
{
	static struct run_config config = { .ready = READY_FD, .ready_fd = 5 };
	static struct runner runner;
	int turns = 0;

	if (!config.ready_pipe[0])
		run_ready_fd_open(&config);
	runner = (struct runner){ .config = &config, .rfd = -1, .cold_generation = size & 3 };
	if (size > 4096)
		size = 4096;
	MUST(write(config.ready_pipe[1], data, size) == (ssize_t)size);
	while (run_ready_fd_said(&runner))
		MUST(turns++ < 4096);
	/* Nothing of it is left for the next one. */
	while (read(config.ready_pipe[0], &(char){ 0 }, 1) == 1)
		;
}
