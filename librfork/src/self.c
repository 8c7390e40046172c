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

void rfork_self_set(const struct rfork_self *now)
{
	self = *now;
	snprintf(variable, sizeof variable,
		 VARIABLE "=%d,%d,%" PRIu64 ",%" PRIu32 ",%" PRIu32 ",%" PRId32 ",%" PRIu32 ",%" PRIu64 ",%" PRIu64
		 ",%" PRIu64,
		 (int)self.pid, self.control, self.control_inode, self.restart_status, self.cause, self.status,
		 self.flags, self.generation, self.fail_ns, self.start_ns);
}

static bool read_variable(struct rfork_self *found)
{
	const char *value = getenv(VARIABLE);
	int pid, end = 0;

	if (!value)
		return false;
	if (sscanf(value, "%d,%d,%" SCNu64 ",%" SCNu32 ",%" SCNu32 ",%" SCNd32 ",%" SCNu32 ",%" SCNu64 ",%" SCNu64
			  ",%" SCNu64 "%n",
		   &pid, &found->control, &found->control_inode, &found->restart_status, &found->cause,
		   &found->status, &found->flags, &found->generation, &found->fail_ns, &found->start_ns, &end) != 10)
		return false;
	found->pid = pid;
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

/* The last steps into a new instance. */
void rfork_self_begin(struct rfork_self *now, pid_t monitor, int death_signal)
{
	struct rfork_notice notice = { .type = RFORK_NOTICE_STARTED };

	/* Nobody restarts or stops an instance without its monitor. */
	prctl(PR_SET_PDEATHSIG, death_signal);
	if (getppid() != monitor)
		_exit(127);
	now->pid = own_pid();
	now->start_ns = notice.start_ns = rfork_now();
	rfork_self_set(now);
	send(now->control, &notice, sizeof notice, MSG_NOSIGNAL);
}
