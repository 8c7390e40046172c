/* SPDX-License-Identifier: MIT */
/* Contexts of asynchronous I/O are the process's own: none is brought back, each instance makes its own, and those of dead
 * instances are given back to the system. */
#include "system.h"
#include <linux/aio_abi.h>

#define RESTARTS 30

static long contexts_in_use(void)
{
	return strtol(read_text("/proc/sys/fs/aio-nr"), NULL, 10);
}

static long get_events(aio_context_t context)
{
	struct timespec none = { 0, 0 };
	struct io_event event;

	return syscall(SYS_io_getevents, context, 0, 1, &event, &none) < 0 ? -errno : 0;
}

static _Noreturn void instance(aio_context_t before)
{
	aio_context_t own = 0;

	EQUAL(get_events(before), -EINVAL);
	CHECK(syscall(SYS_io_setup, 8, &own) == 0);
	EQUAL(get_events(own), 0);
	if (rfork_generation() < RESTARTS)
		rfork_restart();
	_exit(0);
}

int main(void)
{
	struct rfork_options options = options_for_many();
	aio_context_t context = 0;
	long used;
	int rfd;
	pid_t pid;

	if (syscall(SYS_io_setup, 8, &context) < 0 && errno == ENOSYS)
		SKIP("this kernel has no asynchronous I/O");
	used = contexts_in_use();
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0)
		instance(context);
	for (int i = 0; i < RESTARTS; i++)
		next_event(rfd, RFORK_EV_RESTART);
	EQUAL(expect_end(rfd, RFORK_END_EXIT).status, 0);
	EQUAL(get_events(context), 0);
	EVENTUALLY(contexts_in_use() <= used);
	return 0;
}
