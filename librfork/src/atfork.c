/* SPDX-License-Identifier: MIT */
/*
 * A checkpoint runs the fork handlers of the program and its libraries, those of pthread_atfork(3) and the C library's own.
 * No public call runs them, and their list is private. So the checkpoint calls fork(3) and steps through it, instruction by
 * instruction, by the CPU's trap flag, to the system call that would make the process. The checkpoint takes the place of that
 * call. fork(3) then goes on in the caller as in a parent, and in each instance that begins there as in a child.
 * Only the checkpoint steps; a restart begins behind the call.
 *
 * A prepare handler may do what it likes meanwhile. What it starts does not step. A fork(3) of its own is carried out, for
 * the checkpoint takes the place of the outer one only. What it does to SIGTRAP is done when the steps end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>
#include "internal.h"

#if defined(__x86_64__) && !defined(__ILP32__)
#define TRAP_FLAG 0x100
#define TRAP_BIT (1ull << (SIGTRAP - 1))

#define CLONE3 435		/* Linux 5.3 */

struct kernel_action {		/* as the system call has it */
	void *handler;
	unsigned long flags;
	void *restorer;
	uint64_t mask;
};

static struct passage {
	long (*body)(void *);
	void *argument;
	long result;
	bool taken;
	bool active;			/* until fork(3) has returned */
	bool made;			/* a handler has made a process or a thread, which has our trap flag */
	pid_t pid, thread;		/* whose steps they are */
	uintptr_t entry, inner;		/* stack pointers at the entry of fork(3), and of one that a handler calls, or 0 */
	uintptr_t fork_code;		/* an instruction that each fork(3) begins with */
	uint64_t trap_was_blocked;	/* TRAP_BIT or 0 */
	unsigned long flags;		/* of the call whose place is taken */
	int *thread_id;
	char *stack;			/* of what called fork(3) */
	const char *code[2];		/* where it goes on: the end of the handler, fork(3) */
	struct kernel_action action;	/* the program's */
} passage;

/* A debugger takes SIGTRAP for its own: it would stop at each instruction. */
static bool is_traced(void)
{
	static const char field[] = "\nTracerPid:";
	char text[1024], *found;
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof text - 1);

	if (fd >= 0)
		close(fd);
	text[got > 0 ? got : 0] = '\0';
	found = strstr(text, field);
	return found && strtol(found + sizeof field - 1, NULL, 10) != 0;
}

/* A trap while SIGTRAP is blocked would kill the process, and C libraries block all signals around the call. */
static void change_mask(ucontext_t *context)
{
	const greg_t *reg = context->uc_mcontext.gregs;
	const uint64_t *set = (const uint64_t *)reg[REG_RSI];
	uint64_t *old = (uint64_t *)reg[REG_RDX];
	uint64_t mask, wanted = set ? *set : 0;

	memcpy(&mask, &context->uc_sigmask, sizeof mask);
	mask |= passage.trap_was_blocked;
	if (old)
		*old = mask;
	if (set && reg[REG_RDI] == SIG_BLOCK)
		mask |= wanted;
	else if (set && reg[REG_RDI] == SIG_UNBLOCK)
		mask &= ~wanted;
	else if (set)
		mask = wanted;
	passage.trap_was_blocked = mask & TRAP_BIT;
	mask &= ~TRAP_BIT;
	memcpy(&context->uc_sigmask, &mask, sizeof mask);
}

static void change_action(const greg_t *reg)
{
	const struct kernel_action *wanted = (const struct kernel_action *)reg[REG_RSI];
	struct kernel_action *old = (struct kernel_action *)reg[REG_RDX], before = passage.action;

	if (wanted)
		passage.action = *wanted;
	if (old)
		*old = before;
}

static void give_back_action(void)
{
	syscall(SYS_rt_sigaction, SIGTRAP, &passage.action, NULL, sizeof passage.action.mask);
}

static void end_steps(ucontext_t *context)
{
	uint64_t mask;

	context->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
	memcpy(&mask, &context->uc_sigmask, sizeof mask);
	mask |= passage.trap_was_blocked;
	memcpy(&context->uc_sigmask, &mask, sizeof mask);
}

/* The call with which a C library makes a process. */
static void read_call(const greg_t *reg)
{
	passage.flags = reg[REG_RAX] == SYS_clone ? (unsigned long)reg[REG_RDI] : 0;
	passage.thread_id = (int *)reg[REG_R10];
	passage.code[1] = (const char *)reg[REG_RIP];
}

/* What can be done before a restart is not done on its way: this is the restart point, but for the result. */
static void take_place(ucontext_t *context)
{
	passage.taken = true;
	read_call(context->uc_mcontext.gregs);
	passage.code[0] = ((const char **)context)[-1];
	give_back_action();
	end_steps(context);
	passage.result = passage.body(passage.argument);
}

static bool makes_a_process(const greg_t *reg)
{
	return reg[REG_RAX] == SYS_fork || (reg[REG_RAX] == SYS_clone && !(reg[REG_RDI] & CLONE_VM));
}

/* True: what steps is not for us, or not any more. Whatever a handler has made has other memory, or other signals, or another
 * stack; and a handler that jumps out of fork(3) never comes to its call. */
static bool is_over(ucontext_t *context)
{
	bool jumped = (uintptr_t)context->uc_mcontext.gregs[REG_RSP] > (uintptr_t)passage.stack;

	if (passage.made && syscall(SYS_gettid) != passage.thread) {
		if (getpid() != passage.pid)
			give_back_action();
	} else if (jumped) {
		passage.active = false;
		give_back_action();
	} else {
		return passage.taken;
	}
	end_steps(context);
	return true;
}

/* Where fork(3) begins is known once the stack pointer has left its place: before, this may be the way there. */
static void look_for_inner_fork(const greg_t *reg)
{
	uintptr_t stack = (uintptr_t)reg[REG_RSP];

	if (!passage.entry)
		passage.entry = stack - sizeof(void *);	/* the first step is in our own code */
	if (stack == passage.entry)
		passage.fork_code = (uintptr_t)reg[REG_RIP];
	else if (passage.inner && stack > passage.inner)
		passage.inner = 0;
	else if (!passage.inner && stack < passage.entry && (uintptr_t)reg[REG_RIP] == passage.fork_code)
		passage.inner = stack;
}

/* Byte by byte: the first may be the last one that can be read. */
static bool is_system_call(const unsigned char *code)
{
	return code[0] == 0x0f && code[1] == 0x05;
}

/* False: it is left to the kernel. */
static bool take_call(ucontext_t *context)
{
	greg_t *reg = context->uc_mcontext.gregs;

	if (reg[REG_RAX] == SYS_rt_sigprocmask) {
		change_mask(context);
		reg[REG_RAX] = 0;
	} else if (reg[REG_RAX] == SYS_rt_sigaction && (int)reg[REG_RDI] == SIGTRAP) {
		change_action(reg);
		reg[REG_RAX] = 0;
	} else if (makes_a_process(reg) && !passage.inner) {
		take_place(context);
		reg[REG_RAX] = passage.result;
	} else {
		passage.made |= makes_a_process(reg) || reg[REG_RAX] == SYS_clone || reg[REG_RAX] == SYS_vfork ||
				reg[REG_RAX] == CLONE3;
		return false;
	}
	return true;
}

static void step(int signal, siginfo_t *info, void *pointer)
{
	ucontext_t *context = pointer;
	greg_t *reg = context->uc_mcontext.gregs;

	(void)signal;
	(void)info;
	if (is_over(context))
		return;
	look_for_inner_fork(reg);
	if (is_system_call((const unsigned char *)reg[REG_RIP]) && take_call(context))
		reg[REG_RIP] += 2;
}

/* Not over the 128 bytes below the stack pointer: the compiler may keep something there. */
static inline __attribute__((always_inline)) void set_trap_flag(void)
{
	__asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; orq %0, (%%rsp); popfq; lea 128(%%rsp), %%rsp"
			 : : "i"(TRAP_FLAG) : "memory", "cc");
}

static inline __attribute__((always_inline)) void clear_trap_flag(void)
{
	__asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; andq %0, (%%rsp); popfq; lea 128(%%rsp), %%rsp"
			 : : "i"(~TRAP_FLAG) : "memory", "cc");
}

static void unblock_trap(void)
{
	sigset_t trap, before;

	sigemptyset(&trap);
	sigaddset(&trap, SIGTRAP);
	sigprocmask(SIG_UNBLOCK, &trap, &before);
	passage.trap_was_blocked = sigismember(&before, SIGTRAP) ? TRAP_BIT : 0;
}

static void block_trap_again(void)
{
	sigset_t trap;

	sigemptyset(&trap);
	sigaddset(&trap, SIGTRAP);
	if (passage.trap_was_blocked)
		sigprocmask(SIG_BLOCK, &trap, NULL);
}

/* An emulated CPU may know no trap flag: then this was an ordinary fork. */
static long undo(pid_t pid)
{
	int error = errno;

	if (pid == 0)
		_exit(0);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	give_back_action();
	block_trap_again();
	return pid < 0 ? -error : -EOPNOTSUPP;
}

/* Of an earlier checkpoint. */
static void forget_passage(void)
{
	passage.taken = false;
}

static long step_through_fork(long (*body)(void *), void *argument)
{
	struct sigaction action = { .sa_sigaction = step, .sa_flags = SA_SIGINFO };
	pid_t pid;

	if (passage.active)
		return -EDEADLK;
	sigfillset(&action.sa_mask);
	passage = (struct passage){
		.body = body, .argument = argument, .stack = __builtin_frame_address(0),
		.pid = getpid(), .thread = (pid_t)syscall(SYS_gettid),
	};
	if (syscall(SYS_rt_sigaction, SIGTRAP, NULL, &passage.action, sizeof passage.action.mask) < 0 ||
	    sigaction(SIGTRAP, &action, NULL) < 0)
		return -errno;
	passage.active = true;
	unblock_trap();
	set_trap_flag();
	pid = fork();
	clear_trap_flag();
	passage.active = false;
	return passage.taken ? passage.result : undo(pid);
}
/* In a new process that goes on from the body as the child does: what the kernel does for a C library that asks for it with
 * the call; and the pages of the stack that it will write next are copied, which a restart need not wait for. */
void rfork_in_fork_child(void)
{
	volatile char *here = (volatile char *)__builtin_frame_address(0);

	if (!passage.taken)
		return;
	if (passage.flags & CLONE_CHILD_SETTID)
		*passage.thread_id = (int)syscall(SYS_gettid);
	if (passage.flags & CLONE_CHILD_CLEARTID)
		syscall(SYS_set_tid_address, passage.thread_id);
	passage.result = 0;
	for (; here < passage.stack; here += 4096)
		*here = *here;
	*passage.stack = *(volatile char *)passage.stack;
	for (int i = 0; i < 2; i++)
		(void)*(const volatile char *)passage.code[i];	/* fork(2) leaves code to the first use */
}
#else
void rfork_in_fork_child(void)
{
}

static void forget_passage(void)
{
}

static bool is_traced(void)
{
	return false;
}

static long step_through_fork(long (*body)(void *), void *argument)
{
	(void)body;
	(void)argument;
	return -EOPNOTSUPP;
}
#endif

/* The body with every signal blocked, and no handlers. */
static long run_alone(long (*body)(void *), void *argument)
{
	sigset_t all, mask;
	long result;

	forget_passage();
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &mask);
	result = body(argument);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return result;
}

/*
 * Call body, which returns as fork(2) does, with every signal blocked and between the handlers. It must not use what fork(3) has
 * locked: the allocator and streams. -EOPNOTSUPP: the handlers cannot be reached, and without_handlers forbids to go on.
 * -EDEADLK: a handler has called this.
 */
long rfork_in_fork(long (*body)(void *), void *argument, bool without_handlers)
{
	int saved = errno;
	long result = is_traced() ? -EOPNOTSUPP : step_through_fork(body, argument);

	if (result == -EOPNOTSUPP && without_handlers)
		result = run_alone(body, argument);
	errno = saved;
	return result;
}
