/* SPDX-License-Identifier: MIT */
/* Whether this is a Linux on which the user level works: emulators of it and sandboxes know only its usual calls. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "user.h"

/* QEMU's user mode makes no process with CLONE_PARENT, which a checkpoint needs. That cannot be tried without making one; but the
 * emulator does not know robust lists either, which every Linux with futexes has. */
bool rfork_user_possible(void)
{
	int saved = errno, death_signal;
	void *head;
	size_t size;
	bool possible = syscall(SYS_get_robust_list, 0, &head, &size) == 0 && prctl(PR_GET_PDEATHSIG, &death_signal) == 0;

	errno = saved;
	return possible;
}
