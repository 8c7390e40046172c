/* SPDX-License-Identifier: MIT */
/* The kernel backend: rfork(2) as rfork_abi.h has it. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "internal.h"

static long call(unsigned int cmd, void *arg, size_t size)
{
	int saved = errno;
	long rc = syscall(__NR_rfork, cmd, arg, size);

	if (rc < 0)
		rc = -errno;
	errno = saved;
	return rc;
}

bool rfork_kernel_present(void)
{
	struct rfork_info info = { .rfd = -1 };

	return call(RFORK_INFO, &info, sizeof info) != -ENOSYS;
}

pid_t rfork_kernel_create(const struct rfork_options *options, int *rfd)
{
	__s32 descriptor = -1;
	struct rfork_args args = {
		.flags = options->flags,
		.rfd = rfd ? (uintptr_t)&descriptor : 0,
		.exit_signal = options->exit_signal < 0 ? 0 : (uint32_t)options->exit_signal,
		.restart_status = options->restart_status,
		.burst = options->burst,
		.window_ms = options->window_ms,
		.probation_ms = options->probation_ms,
	};
	struct rfork_thread thread;
	long pid;

	rfork_thread_save(&thread);
	pid = call(RFORK_CREATE, &args, sizeof args);
	if (pid == -EINVAL && args.flags & RFORK_NO_SPARE) {
		args.flags &= ~(uint64_t)RFORK_NO_SPARE;	/* a kernel that keeps none has not heard of it */
		pid = call(RFORK_CREATE, &args, sizeof args);
	}
	if (pid == 0)
		rfork_thread_restore(&thread);
	else if (pid > 0 && rfd)
		*rfd = descriptor;
	return (pid_t)pid;
}

/* Wait for a child whose end has been told. If the program was faster, or SIGCHLD is ignored, the PID may be another
 * child's by now, which runs for long. */
int rfork_reap_ended(pid_t pid, uint64_t ended_ns)
{
	pid_t got = waitpid(pid, NULL, __WALL | WNOHANG);

	if (got == 0 && rfork_is_younger(pid, ended_ns))
		return -ECHILD;
	while (got == 0 || (got < 0 && errno == EINTR))
		got = waitpid(pid, NULL, __WALL);
	return got < 0 ? -errno : 0;
}

int rfork_kernel_next_event(int rfd, struct rfork_event *event)
{
	int saved = errno;
	ssize_t got = read(rfd, event, sizeof *event);
	int rc = got < 0 ? -errno : got > 0;

	if (rc == 1 && (event->type == RFORK_EV_RESTART || event->type == RFORK_EV_END))
		rfork_reap_ended(event->old_pid, event->fail_ns);
	errno = saved;
	return rc;
}

int rfork_kernel_ctl(int rfd, unsigned int cmd, int signal, unsigned int cause)
{
	struct rfork_ctl ctl = { .rfd = rfd, .signal = (uint32_t)signal, .cause = cause };
	long rc = call(cmd, &ctl, sizeof ctl);

	if (rc == -ENOSYS)
		return -EINVAL;		/* whatever rfd is, it is no group's descriptor */
	return rc < 0 ? (int)rc : 0;
}

int rfork_kernel_query(int rfd, struct rfork_info *info)
{
	long rc;

	memset(info, 0, sizeof *info);
	info->rfd = rfd;
	rc = call(RFORK_INFO, info, sizeof *info);
	if (rc == -ENOSYS)
		return rfd < 0 ? -ESRCH : -EINVAL;
	return rc < 0 ? (int)rc : 0;
}

/* In the place of the call with which fork(3) makes a process. The kernel's word tells an instance from the caller: a PID may
 * be used again. */
static long move_restart_point(void *unused)
{
	struct rfork_thread thread;
	long rc;

	(void)unused;
	rfork_thread_save(&thread);
	rc = call(RFORK_CHECKPOINT, NULL, 0);
	if (rc == 0)
		return getpid();
	if (rc > 0) {
		rfork_thread_restore(&thread);
		rfork_in_fork_child();
		return 0;
	}
	return rc == -ENOSYS ? -ESRCH : rc;
}

int64_t rfork_kernel_checkpoint(bool without_handlers)
{
	struct rfork_info info;
	long rc = rfork_in_fork(move_restart_point, NULL, without_handlers);

	if (rc)
		return rc < 0 ? rc : 0;
	/* Whoever can tell no generation is an instance all the same. */
	return rfork_kernel_query(-1, &info) < 0 || !info.generation ? 1 : (int64_t)info.generation;
}
