/* SPDX-License-Identifier: MIT */
/* The public calls: defaults, checks, and which backend is meant. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../monitor/user.h"
#include "../posix/posix.h"
#include "internal.h"

#define KNOWN_FLAGS (RFORK_ON_SIGNAL | RFORK_ON_STATUS | RFORK_OUTLIVE | RFORK_NO_SPARE | RFORK_NO_CHECKPOINT)
#define LAST_SIGNAL 64

static uint32_t own_restart_status = RFORK_RESTART_STATUS;
static bool posix_used;		/* by this process, which need not ask of what backend a descriptor is otherwise */

static enum rfork_backend wanted_backend(enum rfork_backend asked)
{
	const char *name = getenv("RFORK_BACKEND");

	if (asked != RFORK_BACKEND_AUTO || !name)
		return asked;
	if (!strcmp(name, "linux") || !strcmp(name, "user"))
		return RFORK_BACKEND_LINUX;
	if (!strcmp(name, "posix"))
		return RFORK_BACKEND_POSIX;
	return strcmp(name, "kernel") ? RFORK_BACKEND_AUTO : RFORK_BACKEND_KERNEL;
}

/* Neither level counts restarts more finely than in nanoseconds. */
static bool valid_burst(const struct rfork_options *options)
{
	uint64_t window_ms = options->window_ms ? options->window_ms : RFORK_DEFAULT_WINDOW_MS;

	return options->burst == RFORK_BURST_UNLIMITED || options->burst <= window_ms * RFORK_NSEC_PER_MSEC;
}

static int complete(struct rfork_options *options)
{
	if (options->flags & ~(uint64_t)KNOWN_FLAGS || options->restart_status > 255 ||
	    options->exit_signal < -1 || options->exit_signal > LAST_SIGNAL ||
	    options->backend > RFORK_BACKEND_POSIX || !valid_burst(options))
		return -EINVAL;
	if (!options->restart_status)
		options->restart_status = RFORK_RESTART_STATUS;
	if (!options->exit_signal)
		options->exit_signal = SIGCHLD;
	return 0;
}

/* By the system, or a sandbox: what a plain fork(2) needs may still be allowed. */
static bool is_forbidden(pid_t result)
{
	return result == -ENOSYS || result == -EPERM;
}

pid_t rfork_create(const struct rfork_options *given, int *rfd)
{
	struct rfork_options options = { 0 };
	enum rfork_backend backend;
	pid_t pid = -ENOSYS;
	int rc;

	if (given)
		options = *given;
	rc = complete(&options);
	if (rc < 0)
		return rc;
	backend = wanted_backend(options.backend);
	if (backend == RFORK_BACKEND_AUTO || backend == RFORK_BACKEND_KERNEL)
		pid = rfork_kernel_create(&options, rfd);
	if (pid == -ENOSYS && (backend == RFORK_BACKEND_LINUX || (backend == RFORK_BACKEND_AUTO && rfork_user_possible())))
		pid = rfork_user_create(&options, rfd);
	if (backend == RFORK_BACKEND_POSIX || (backend == RFORK_BACKEND_AUTO && is_forbidden(pid))) {
		posix_used = true;
		pid = rfork_posix_create(&options, rfd);
	}
	if (pid == 0)
		own_restart_status = options.restart_status;
	return pid;
}

pid_t rfork(void)
{
	return rfork_create(NULL, NULL);
}

/* The monitor's socket, or the kernel's anonymous file? */
static int is_user_level(int rfd)
{
	struct stat st;
	int saved = errno;
	int rc = fstat(rfd, &st) < 0 ? -errno : S_ISSOCK(st.st_mode);

	errno = saved;
	return rc;
}

static bool is_posix(int rfd)
{
	return posix_used && rfork_posix_is_group(rfd);
}

/* Both user levels write the same on their sockets. */
int rfork_next_event(int rfd, struct rfork_event *event)
{
	int rc;

	if (is_posix(rfd))
		return rfork_posix_next_event(rfd, event);
	rc = rfork_user_next_event(rfd, event);
	return rc == -ENOTSOCK ? rfork_kernel_next_event(rfd, event) : rc;
}

static int control(int rfd, unsigned int cmd, int signal, unsigned int cause)
{
	int user = is_user_level(rfd);

	if (user < 0)
		return user;
	if (signal < 0 || signal > LAST_SIGNAL)
		return -EINVAL;
	if (user && is_posix(rfd))
		return rfork_posix_ctl(rfd, cmd, signal, cause);
	return user ? rfork_user_ctl(rfd, cmd, signal, cause) : rfork_kernel_ctl(rfd, cmd, signal, cause);
}

int rfork_stop(int rfd, int signal)
{
	return control(rfd, RFORK_STOP, signal, 0);
}

int rfork_kick(int rfd, int signal, unsigned int cause)
{
	if (cause != RFORK_CAUSE_OPERATOR && cause != RFORK_CAUSE_HEARTBEAT)
		return -EINVAL;
	return control(rfd, RFORK_RESTART, signal, cause);
}

static void describe(const struct rfork_self *self, struct rfork_info *info)
{
	memset(info, 0, sizeof *info);
	info->rfd = -1;
	info->cause = self->cause;
	info->status = self->status;
	info->pid = self->pid;
	info->generation = self->generation;
	info->flags = self->flags;
	info->fail_ns = self->fail_ns;
	info->start_ns = self->start_ns;
}

static void describe_posix(const struct rfork_posix_self *self, struct rfork_info *info)
{
	memset(info, 0, sizeof *info);
	info->rfd = -1;
	info->cause = self->cause;
	info->status = self->status;
	info->pid = self->pid;
	info->generation = self->generation;
	info->flags = self->flags;
	info->fail_ns = self->fail_ns;
	info->start_ns = self->start_ns;
}

static int query_own(struct rfork_info *info)
{
	const struct rfork_self *self = rfork_self();
	int rc = self ? 0 : rfork_kernel_query(-1, info);

	if (self)
		describe(self, info);
	else if (rc == -ESRCH && rfork_posix_self())
		describe_posix(rfork_posix_self(), info);
	else
		return rc;
	return 0;
}

int rfork_query(int rfd, struct rfork_info *info)
{
	int user;

	if (rfd < -1)
		return -EBADF;
	if (rfd == -1)
		return query_own(info);
	user = is_user_level(rfd);
	if (user < 0)
		return user;
	if (user && is_posix(rfd))
		return rfork_posix_query(rfd, info);
	return user ? rfork_user_query(rfd, info) : rfork_kernel_query(rfd, info);
}

_Noreturn void rfork_restart(void)
{
	const struct rfork_self *self = rfork_self();
	const struct rfork_posix_self *posix = self ? NULL : rfork_posix_self();

	_exit((int)(self ? self->restart_status : posix ? posix->restart_status : own_restart_status));
}

int64_t rfork_generation(void)
{
	struct rfork_info info;
	int rc = rfork_query(-1, &info);

	return rc < 0 ? rc : (int64_t)info.generation;
}

int rfork_cause(void)
{
	struct rfork_info info;
	int rc = rfork_query(-1, &info);

	return rc < 0 ? rc : (int)info.cause;
}

enum rfork_backend rfork_backend(void)
{
	enum rfork_backend wanted = wanted_backend(RFORK_BACKEND_AUTO);
	struct rfork_info info;

	if (rfork_self())
		return RFORK_BACKEND_LINUX;
	if (rfork_kernel_query(-1, &info) == 0)
		return RFORK_BACKEND_KERNEL;
	if (rfork_posix_self())
		return RFORK_BACKEND_POSIX;
	if (wanted != RFORK_BACKEND_AUTO)
		return wanted;
	if (rfork_kernel_present())
		return RFORK_BACKEND_KERNEL;
	return rfork_user_possible() ? RFORK_BACKEND_LINUX : RFORK_BACKEND_POSIX;
}
