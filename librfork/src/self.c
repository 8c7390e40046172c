/* SPDX-License-Identifier: MIT */
/*
 * What an instance at the user level knows about itself: in memory, and for a
 * program that it executes in the environment variable RFORK_USER.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "internal.h"
#include "wire.h"

#define VARIABLE "RFORK_USER"

static struct rfork_self self;
static char variable[256] = VARIABLE "=";

static pid_t own_pid(void)
{
	return (pid_t)syscall(SYS_getpid);	/* glibc before 2.25 caches it across a raw clone */
}

/* The environment holds a pointer to `variable`, so that a new instance changes its
 * value without touching the environment itself. */
int rfork_self_prepare(void)
{
	const char *value = getenv(VARIABLE);

	if (value == variable + sizeof VARIABLE)
		return 0;
	return putenv(variable) ? -1 : 0;
}

static char *put(char *to, uint64_t value, int digits)
{
	while (digits--)
		*to++ = "0123456789abcdef"[value >> 4 * digits & 15];
	*to++ = ',';
	return to;
}

/* By hand: printf(3) would be a tenth of the way to the new instance. */
void rfork_self_set(const struct rfork_self *now)
{
	char *to = variable + sizeof VARIABLE;

	self = *now;
	to = put(to, (uint32_t)self.pid, 8);
	to = put(to, (uint32_t)self.control, 8);
	to = put(to, self.control_inode, 16);
	to = put(to, self.restart_status, 8);
	to = put(to, self.cause, 8);
	to = put(to, (uint32_t)self.status, 8);
	to = put(to, self.flags, 8);
	to = put(to, self.generation, 16);
	to = put(to, self.fail_ns, 16);
	to = put(to, self.start_ns, 16);
	to[-1] = '\0';
}

static bool read_variable(struct rfork_self *found)
{
	const char *value = getenv(VARIABLE);
	uint32_t pid, control, status;
	int end = 0;

	if (!value)
		return false;
	if (sscanf(value, "%" SCNx32 ",%" SCNx32 ",%" SCNx64 ",%" SCNx32 ",%" SCNx32 ",%" SCNx32 ",%" SCNx32 ",%" SCNx64
			  ",%" SCNx64 ",%" SCNx64 "%n",
		   &pid, &control, &found->control_inode, &found->restart_status, &found->cause, &status,
		   &found->flags, &found->generation, &found->fail_ns, &found->start_ns, &end) != 10)
		return false;
	found->pid = (pid_t)pid;
	found->control = (int)control;
	found->status = (int32_t)status;
	return value[end] == '\0';
}

/* NULL: the caller is no instance (but perhaps a child of one, with its environment). */
const struct rfork_self *rfork_self(void)
{
	struct rfork_self found;

	if (self.pid == own_pid())
		return &self;
	if (!read_variable(&found) || found.pid != own_pid())
		return NULL;
	self = found;
	return &self;
}

/* For a clone of an instance that is to become one: what the instance knew. */
const struct rfork_self *rfork_self_inherited(void)
{
	return &self;
}

/* The socket to the monitor, or -1 where the program has closed it. */
int rfork_self_control(void)
{
	struct stat st;

	if (fstat(self.control, &st) < 0 || !S_ISSOCK(st.st_mode) || st.st_ino != self.control_inode)
		return -1;
	return self.control;
}

/* What can be done before the instance is to begin: nobody restarts or stops one without its monitor. */
void rfork_self_arrange(struct rfork_self *now, pid_t monitor, int death_signal)
{
	prctl(PR_SET_PDEATHSIG, death_signal);
	if (getppid() != monitor)
		_exit(127);
	now->pid = own_pid();
}
