/* SPDX-License-Identifier: MIT */
/*
 * What an instance at the user level knows about itself: in memory, and for a
 * program that it executes in the environment variable RFORK_USER.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
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
#include "instance.h"

#define VARIABLE "RFORK_USER"
#define KNOWN_BEFORE (9 + 9 + 17 + 9)	/* characters: PID, control socket, its inode, restart status */

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

/* All eight digits at once, one to a byte. */
static inline __attribute__((always_inline)) char *put_8(char *to, uint32_t value)
{
	uint64_t x = value, letters;

	x = (x | x << 16) & 0x0000ffff0000ffff;
	x = (x | x << 8) & 0x00ff00ff00ff00ff;
	x = (x | x << 4) & 0x0f0f0f0f0f0f0f0f;
	letters = (x + 0x0606060606060606) >> 4 & 0x0101010101010101;
	x = htobe64(x + 0x3030303030303030 + letters * ('a' - '0' - 10));
	memcpy(to, &x, sizeof x);
	return to + sizeof x;
}

static inline __attribute__((always_inline)) char *put(char *to, uint64_t value, int digits)
{
	if (digits > 8)
		to = put_8(to, (uint32_t)(value >> 32));
	to = put_8(to, (uint32_t)value);
	*to++ = ',';
	return to;
}

/* Not by printf(3), nor digit by digit: that would be a twentieth of the way to the new instance. */
void rfork_self_set(const struct rfork_self *now)
{
	char *to = variable + sizeof VARIABLE;

	self = *now;
	to = put(to, (uint32_t)self.pid, 8);
	to = put(to, (uint32_t)self.control, 8);
	to = put(to, self.control_inode, 16);
	put(to, self.restart_status, 8);
	rfork_self_renew(now);
}

/* Of one that has been set what is known only when its turn has come. */
void rfork_self_renew(const struct rfork_self *now)
{
	char *to = variable + sizeof VARIABLE + KNOWN_BEFORE;

	self = *now;
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

/* The kernel may give a PID again, also to a descendant of the instance that had it, which then has the instance's memory or
 * environment. Such a process is younger than the instance's turn. */
static bool is_instance(const struct rfork_self *candidate)
{
	return candidate->pid == own_pid() && !rfork_is_younger(candidate->pid, candidate->start_ns);
}

/* NULL: the caller is no instance (but perhaps a child of one, with its environment). */
const struct rfork_self *rfork_self(void)
{
	struct rfork_self found;
	int saved = errno;
	bool known = is_instance(&self);

	if (!known && read_variable(&found) && is_instance(&found)) {
		self = found;
		known = true;
	}
	errno = saved;
	return known ? &self : NULL;
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
