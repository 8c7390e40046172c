/* SPDX-License-Identifier: MIT */
/* What an instance knows about itself: in memory, and for a program that it executes in the environment. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "group.h"

#define VARIABLE "RFORK_POSIX"

static struct rfork_posix_self self;

uint64_t rfork_posix_inode(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? 0 : (uint64_t)st.st_ino;
}

/* In an instance that begins. */
void rfork_posix_self_set(const struct rfork_posix_self *now)
{
	char value[256];

	self = *now;
	snprintf(value, sizeof value,
		 "%08" PRIx32 ",%08" PRIx32 ",%08" PRIx32 ",%016" PRIx64 ",%08" PRIx32 ",%08" PRIx32 ",%08" PRIx32 ",%08" PRIx32
		 ",%016" PRIx64 ",%016" PRIx64 ",%016" PRIx64,
		 (uint32_t)self.pid, (uint32_t)self.parent, (uint32_t)self.control, self.control_inode, self.restart_status,
		 self.cause, (uint32_t)self.status, self.flags, self.generation, self.fail_ns, self.start_ns);
	setenv(VARIABLE, value, 1);
}

static bool read_variable(struct rfork_posix_self *found)
{
	const char *value = getenv(VARIABLE);
	uint32_t pid, parent, control, status;

	if (!value || sscanf(value,
			     "%" SCNx32 ",%" SCNx32 ",%" SCNx32 ",%" SCNx64 ",%" SCNx32 ",%" SCNx32 ",%" SCNx32 ",%" SCNx32
			     ",%" SCNx64 ",%" SCNx64 ",%" SCNx64,
			     &pid, &parent, &control, &found->control_inode, &found->restart_status, &found->cause, &status,
			     &found->flags, &found->generation, &found->fail_ns, &found->start_ns) != 11)
		return false;
	found->pid = (pid_t)pid;
	found->parent = (pid_t)parent;
	found->control = (int)control;
	found->status = (int32_t)status;
	return true;
}

/* A descendant that has been given the PID of a dead instance has another parent. */
static bool is_instance(const struct rfork_posix_self *candidate)
{
	return candidate->pid == getpid() && candidate->parent == getppid();
}

/* NULL: the caller is no instance (but perhaps a child of one, with its environment). */
const struct rfork_posix_self *rfork_posix_self(void)
{
	struct rfork_posix_self found;
	int saved = errno;
	bool known = is_instance(&self);

	if (!known && read_variable(&found) && is_instance(&found)) {
		self = found;
		known = true;
	}
	errno = saved;
	return known ? &self : NULL;
}

/* For a copy of an instance that is to become one: what the instance knew. */
const struct rfork_posix_self *rfork_posix_self_inherited(void)
{
	return &self;
}

/* The socket to the monitor, or -1 where the program has closed it. */
int rfork_posix_self_control(void)
{
	struct stat st;

	if (fstat(self.control, &st) < 0 || !S_ISSOCK(st.st_mode) || (uint64_t)st.st_ino != self.control_inode)
		return -1;
	return self.control;
}
