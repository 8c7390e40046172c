/* SPDX-License-Identifier: MIT */
/*
 * A keeper: a task that shares an instance's memory and does nothing. While it is there, the instance's end does
 * not have to free that memory, which is what makes an end take long; the monitor ends the keeper when the next
 * instance runs.
 *
 * It must be of no use to an instance that has given up privileges and writes to their common memory: it has no
 * descriptor but a pipe of its own, and strict seccomp leaves it read(2), write(2) and _exit(2). Where that is not to
 * be had, or a seccomp filter is on already, there is no keeper.
 *
 * With RFORK_EARLY it has the socket to the monitor as well, and futex(2)'s WAIT and WAKE: it sleeps on the word that the
 * kernel clears when the instance's thread lets go of its memory, which the C library has named for this, and passes the
 * monitor a hint whenever it is woken, and the wake on to whom of the C library it may have been meant for. The instance can
 * wake it, too, and have it run what the instance has written there: so it leaves no core file, which would be its
 * user's, and is not there where the scheduling policy is another than the usual.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "internal.h"
#include "wire.h"

#if defined(__x86_64__) && !defined(__ILP32__)

#define STACK_SIZE 8192
#define CLOSE_RANGE 436		/* Linux 5.9 */
#define SECCOMP_STRICT 1
#define SECCOMP_FILTER 2	/* Linux 3.5, as the next */
#define NO_NEW_PRIVS 38
#define SECCOMP_ALLOW 0x7fff0000
#define SECCOMP_KILL 0
#define DATA_NR 0		/* offsets in struct seccomp_data */
#define DATA_ARCH 4
#define DATA_SECOND 24		/* of the second argument, its low half */

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
	const volatile int *life; /* what the kernel clears at the end; NULL: nobody is to be told of it */
	struct rfork_notice notice;
};

static bool allow_futex(void)
{
	static const struct sock_filter steps[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, DATA_ARCH),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 8),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, DATA_NR),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 5, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, DATA_SECOND),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, FUTEX_WAKE, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_KILL),
	};
	static const struct sock_fprog program = { .len = sizeof steps / sizeof *steps, .filter = (struct sock_filter *)steps };

	return raw(SYS_prctl, NO_NEW_PRIVS, 1, 0) == 0 && raw(SYS_prctl, PR_SET_SECCOMP, SECCOMP_FILTER, (long)&program) == 0;
}

static bool cannot_dump(void)
{
	/* With 1 what kernel.core_pattern names is not started either; it may be above the hard limit. */
	static const struct rlimit no_program = { 1, 1 }, no_file = { 0, 0 };

	return raw(SYS_setrlimit, RLIMIT_CORE, (long)&no_program, 0) == 0 ||
	       raw(SYS_setrlimit, RLIMIT_CORE, (long)&no_file, 0) == 0;
}

/* Or it would wait for the end of the dying one's time slice. */
static void shorten_slice(void)
{
#if defined(SYS_sched_getattr) && defined(SYS_sched_setattr)
	struct rfork_sched slice = { 0 };

	if (raw(SYS_sched_getattr, 0, (long)&slice, sizeof slice) != 0)
		return;
	slice.runtime = RFORK_SHORT_SLICE_NS;
	raw(SYS_sched_setattr, 0, (long)&slice, 0);
#endif
}

static bool become_watcher(void)
{
	if (raw(SYS_sched_getscheduler, 0, 0, 0) != SCHED_OTHER || !cannot_dump())
		return false;
	shorten_slice();
	return allow_futex();
}

static __attribute__((noreturn)) void leave(void)
{
	for (;;)
		raw(SYS_exit, 0, 0, 0);
}

/* Until the word is gone. A wake-up may have been meant for a thread of the instance that sleeps on the same word. */
static void watch(const volatile int *life, int control, const struct rfork_notice *notice)
{
	long woken;

	do {
		woken = raw(SYS_futex, (long)life, FUTEX_WAIT, *life);
		if (woken == 0)
			raw(SYS_futex, (long)life, FUTEX_WAKE, INT_MAX);
		if (woken == 0 || woken == -EAGAIN)
			raw(SYS_write, control, (long)notice, sizeof *notice);
	} while (woken == 0 || woken == -EAGAIN || woken == -EINTR);
}

static __attribute__((noreturn, used)) void keep(const struct orders *orders)
{
	struct rfork_notice ending = { .type = RFORK_NOTICE_ENDING };
	const volatile int *life = orders->life;	/* *orders is gone with the byte to `ready` */
	int pipe[2];
	char byte = 0;

	raw(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0);
	raw(SYS_prctl, PR_SET_NAME, (long)"rfork-memory", 0);
	/* By itself: the one whose memory it keeps may be killed now, and the monitor would never know. */
	raw(SYS_write, orders->control, (long)&orders->notice, sizeof orders->notice);
	raw(SYS_dup2, orders->ready, 0, 0);	/* in this order: it may be 1 */
	if (raw(SYS_dup2, orders->control, 1, 0) != 1)
		life = NULL;
	close_from(life ? 2 : 1);
	if (raw(SYS_getppid, 0, 0, 0) != orders->monitor || raw(SYS_pipe, (long)pipe, 0, 0) != 0)
		leave();
	if (life && !become_watcher()) {
		raw(SYS_close, 1, 0, 0);
		life = NULL;
	}
	if (!life && raw(SYS_prctl, PR_SET_SECCOMP, SECCOMP_STRICT, 0) != 0)
		leave();
	raw(SYS_write, 0, (long)&byte, 1);
	if (life)
		watch(life, 1, &ending);
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
void rfork_keeper_start(const struct rfork_self *self, pid_t monitor, bool early)
{
	int saved = errno;
	struct orders orders = {
		.monitor = monitor, .control = self->control, .life = early ? rfork_thread_life() : NULL,
		.notice = { .type = RFORK_NOTICE_KEEPER, .pid = self->pid },
	};

	start(&orders);
	errno = saved;
}

#else

void rfork_keeper_start(const struct rfork_self *self, pid_t monitor, bool early)
{
	(void)self;
	(void)monitor;
	(void)early;
}

#endif
