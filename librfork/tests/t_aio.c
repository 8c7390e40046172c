/* SPDX-License-Identifier: MIT */
/* Contexts of asynchronous I/O are the process's own: none is brought back, each instance makes its own, and those of dead
 * instances are given back to the system. */
#include "system.h"
#include <linux/aio_abi.h>

#define RESTARTS 30

static aio_context_t before;

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

static _Noreturn void instance(void)
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
	long used;

	if (syscall(SYS_io_setup, 8, &before) < 0 && errno == ENOSYS)
		SKIP("this kernel has no asynchronous I/O");
	used = contexts_in_use();
	run_to_exit(instance, RESTARTS);
	EQUAL(get_events(before), 0);
	EVENTUALLY(contexts_in_use() <= used);
	return 0;
}
