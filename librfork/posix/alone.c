/* SPDX-License-Identifier: MIT */
/* In place of the other two backends, where the portable one is the only one. */
#include <errno.h>
#include "../monitor/user.h"
#include "../src/internal.h"
#include "posix.h"

bool rfork_kernel_present(void)
{
	return false;
}

pid_t rfork_kernel_create(const struct rfork_options *options, int *rfd)
{
	(void)options;
	(void)rfd;
	return -ENOSYS;
}

int rfork_kernel_next_event(int rfd, struct rfork_event *event)
{
	(void)rfd;
	(void)event;
	return -EINVAL;
}

int rfork_kernel_ctl(int rfd, unsigned int cmd, int signal, unsigned int cause)
{
	(void)rfd;
	(void)cmd;
	(void)signal;
	(void)cause;
	return -EINVAL;
}

int rfork_kernel_query(int rfd, struct rfork_info *info)
{
	(void)info;
	return rfd < 0 ? -ESRCH : -EINVAL;
}

int64_t rfork_kernel_checkpoint(bool without_handlers)
{
	(void)without_handlers;
	return -ESRCH;
}

bool rfork_user_possible(void)
{
	return false;
}

pid_t rfork_user_create(const struct rfork_options *options, int *rfd)
{
	return rfork_kernel_create(options, rfd);
}

/* A process that has executed another program asks here: it has made no group itself. */
int rfork_user_next_event(int rfd, struct rfork_event *event)
{
	return rfork_posix_next_event(rfd, event);
}

int rfork_user_ctl(int rfd, unsigned int cmd, int signal, unsigned int cause)
{
	return rfork_posix_ctl(rfd, cmd, signal, cause);
}

int rfork_user_query(int rfd, struct rfork_info *info)
{
	return rfork_posix_query(rfd, info);
}

const struct rfork_self *rfork_self(void)
{
	return NULL;
}

int64_t rfork_user_checkpoint(bool without_handlers)
{
	return rfork_kernel_checkpoint(without_handlers);
}

bool rfork_single_threaded(void)
{
	return true;
}

int rfork_rebuild_note(char *which, size_t size)
{
	(void)which;
	(void)size;
	return -EOPNOTSUPP;
}

const char *rfork_rebuild_make(void)
{
	return NULL;
}

void rfork_held_find(struct rfork_held *held, bool rebuilt)
{
	(void)rebuilt;
	*held->lock = *held->shared = '\0';
}
