/* SPDX-License-Identifier: MIT */
/*
 * A keeper: a task that shares an instance's memory and does nothing. While it is there, the instance's end does
 * not have to free that memory, which is what makes an end take long; the monitor ends the keeper when the next
 * instance runs.
 *
 * It must be of no use to an instance that has given up privileges and writes to their common memory: it has no
 * descriptor but a pipe of its own, and strict seccomp leaves it read(2), write(2) and _exit(2). Where that is not to
 * be had, or a seccomp filter is on already, there is no keeper.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "instance.h"

#if defined(__x86_64__) && !defined(__ILP32__)

#define STACK_SIZE 8192
#define CLOSE_RANGE 436		/* Linux 5.9 */
#define SECCOMP_STRICT 1

static char stack[STACK_SIZE] __attribute__((aligned(16)));

/* The C library's errno and thread control block are the instance's. */
static long raw(long number, long a, long b, long c)
{
	register long fourth __asm__("r10") = 0;
	register long fifth __asm__("r8") = 0;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth)
			 : "rcx", "r11", "memory");
	return result;
}

/* The size of the descriptor table, from "FDSize:" in /proc/self/status; a usual one where that cannot be read. */
static long table_size(void)
{
	static const char path[] = "/proc/self/status", label[] = "FDSize:\t";
	char text[512];
	long fd = raw(SYS_open, (long)path, 0, 0);
	long got = fd < 0 ? 0 : raw(SYS_read, fd, (long)text, sizeof text), size = 0;

	for (long i = 0; i < got; i++) {
		long j = 0;

		while (label[j] && i + j < got && text[i + j] == label[j])
			j++;
		if (label[j])
			continue;
		for (i += j; i < got && text[i] >= '0' && text[i] <= '9'; i++)
			size = 10 * size + text[i] - '0';
		break;
	}
	return size > 0 ? size : 1024;
}

static void close_from(long first)
{
	if (raw(CLOSE_RANGE, first, ~0U, 0) == 0)
		return;
	for (long fd = table_size(); fd >= first; fd--)
		raw(SYS_close, fd, 0, 0);
}

/* What the keeper is to know. */
struct orders {
	pid_t monitor;
	int control;		/* where it says that it is there */
	int ready;		/* a byte to it says that all is set up */
	struct rfork_notice notice;
};

static __attribute__((noreturn)) void leave(void)
{
	for (;;)
		raw(SYS_exit, 0, 0, 0);
}

static __attribute__((noreturn, used)) void keep(const struct orders *orders)
{
	int pipe[2];
	char byte = 0;

	raw(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0);
	raw(SYS_prctl, PR_SET_NAME, (long)"rfork-memory", 0);
	/* By itself: the one whose memory it keeps may be killed now, and the monitor would never know. */
	raw(SYS_write, orders->control, (long)&orders->notice, sizeof orders->notice);
	raw(SYS_dup2, orders->ready, 0, 0);
	close_from(1);
	if (raw(SYS_getppid, 0, 0, 0) != orders->monitor || raw(SYS_pipe, (long)pipe, 0, 0) != 0)
		leave();
	if (raw(SYS_prctl, PR_SET_SECCOMP, SECCOMP_STRICT, 0) != 0)
		leave();
	raw(SYS_write, 0, (long)&byte, 1);
	for (;;)
		raw(SYS_read, pipe[0], (long)&byte, 1);
}

static void clone_keeper(const struct orders *orders)
{
	register long flags __asm__("rdi") = CLONE_VM | CLONE_PARENT | SIGCHLD;
	register char *top __asm__("rsi") = stack + sizeof stack;
	register long parent_tid __asm__("rdx") = 0;
	register long child_tid __asm__("r10") = 0;
	register long tls __asm__("r8") = 0;
	register const struct orders *argument __asm__("r12") = orders;
	long pid;

	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "mov %%r12, %%rdi\n\t"
			 "call %P[keep]\n"
			 "1:"
			 : "=a"(pid)
			 : "0"((long)SYS_clone), "r"(flags), "r"(top), "r"(parent_tid), "r"(child_tid), "r"(tls), "r"(argument),
			   [keep] "i"(keep)
			 : "rcx", "r11", "memory");
	(void)pid;
}

/* Once the keeper has no descriptors of ours any more, or has ended. */
static void wait_until_set_up(int from)
{
	char byte;

	while (read(from, &byte, 1) < 0 && errno == EINTR)
		;
}

/* Before Linux 2.6.28 the core file of a process that shares its memory had the PID in its name. It may still raise its
 * limit. */
static bool renames_core(void)
{
	struct rlimit core;
	struct utsname name;
	unsigned int minor;

	return getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max && uname(&name) == 0 &&
	       sscanf(name.release, "2.6.%u", &minor) == 1 && minor < 28;
}

static void start(struct orders *orders)
{
	int ready[2];

	if (prctl(PR_GET_SECCOMP) != 0 || renames_core() || pipe(ready) < 0)
		return;
	orders->ready = ready[1];
	clone_keeper(orders);
	close(ready[1]);
	wait_until_set_up(ready[0]);	/* at once where there is none */
	close(ready[0]);
}

/* A child of the monitor, as the caller is. */
void rfork_keeper_start(const struct rfork_self *self, pid_t monitor)
{
	int saved = errno;
	struct orders orders = {
		.monitor = monitor, .control = self->control,
		.notice = { .type = RFORK_NOTICE_KEEPER, .pid = self->pid },
	};

	start(&orders);
	errno = saved;
}

#else

void rfork_keeper_start(const struct rfork_self *self, pid_t monitor)
{
	(void)self;
	(void)monitor;
}

#endif
