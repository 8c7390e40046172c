/* SPDX-License-Identifier: MIT */
/* The call, counted, and whether it may end as it did. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harden.h"

int faulty;
int depth;

/* All that kernel/README.md knows, for each command; anything else that comes back is a finding. */
static uint64_t known_errors(unsigned int cmd)
{
	switch (cmd) {
	case RFORK_CREATE:
		return BIT(EINVAL) | BIT(EFAULT) | BIT(E2BIG) | BIT(EAGAIN) | BIT(ENOMEM) | BIT(EMFILE) | BIT(ENFILE);
	case RFORK_CHECKPOINT:
		return BIT(EINVAL) | BIT(ESRCH) | BIT(EBUSY) | BIT(EAGAIN) | BIT(ENOMEM);
	case RFORK_INFO:
		return BIT(EINVAL) | BIT(EFAULT) | BIT(E2BIG) | BIT(EBADF) | BIT(ESRCH);
	case RFORK_STOP:
	case RFORK_RESTART:
		return BIT(EINVAL) | BIT(EFAULT) | BIT(E2BIG) | BIT(EBADF) | BIT(ESRCH) | BIT(EPERM);
	}
	return BIT(EINVAL);
}

static int among(long result, uint64_t errors)
{
	return result < 0 && result > -64 && (errors & BIT(-result));
}

long rfork_call(unsigned int cmd, void *arg, size_t size)
{
	long result;

	shared->calls++;
	result = syscall(__NR_rfork, cmd, arg, size);
	if (result < 0)
		result = -errno;
	if (cmd == RFORK_CREATE && result == 0)
		instance();
	if (cmd == RFORK_CREATE && result > 0)
		shared->groups++;
	if (result < 0 && !among(result, known_errors(cmd)))
		finding("rfork(%u, %p, %zu) gives error %ld, which is none of its", cmd, arg, size, -result);
	return result;
}

/* Against what these arguments must give. Where allocations fail at random, that may come first. */
void judge_call(const struct outcome *outcome)
{
	uint64_t allowed = outcome->allowed | (faulty ? BIT(ENOMEM) | BIT(EAGAIN) : 0);

	if (outcome->result >= 0 ? outcome->may_succeed : among(outcome->result, allowed))
		return;
	finding("rfork command %u gives %ld; errors allowed here: 0x%llx, success: %d", outcome->cmd,
		outcome->result, (unsigned long long)allowed, outcome->may_succeed);
}
