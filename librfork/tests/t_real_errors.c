/* SPDX-License-Identifier: MIT */
/* Each kind of error that the kernel detects in a running program restarts it: a wild pointer, a mapping beyond its file's end,
 * division by zero, an illegal instruction, a breakpoint, a forbidden system call, a stack that has no room. */
#include "testing.h"
#include <stddef.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

static void wild_pointer(void)
{
	volatile char *volatile nowhere = NULL;

	*nowhere = 1;
}

static void beyond_end(void)
{
	int file = open("empty", O_RDWR | O_CREAT, 0600);
	volatile char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

	CHECK(page != MAP_FAILED);
	*page = 1;
}

/* What each CPU does for them; only some have an instruction that divides by zero with an error. */
#if defined(__x86_64__) || defined(__i386__)
#define DIVIDE "xorl %%ecx, %%ecx\n xorl %%edx, %%edx\n idivl %%ecx" : : : "eax", "ecx", "edx", "cc"
#define ILLEGAL "ud2"
#define BREAKPOINT "int3"
#elif defined(__s390x__)
#define DIVIDE "lghi %%r2, 0\n lghi %%r1, 1\n dsgr %%r0, %%r2" : : : "r0", "r1", "r2"
#define ILLEGAL ".short 0"
#define BREAKPOINT ".short 1"
#define OTHER_TRAP SIGILL	/* of QEMU before 9 */
#elif defined(__aarch64__)
#define ILLEGAL ".inst 0"
#define BREAKPOINT "brk #0"
#elif defined(__thumb__)
#define ILLEGAL ".inst.n 0xde00"
#define BREAKPOINT ".inst.n 0xde01"
#elif defined(__arm__)
#define ILLEGAL ".inst 0xe7f000f0"
#define BREAKPOINT ".inst 0xe7f001f0"
#elif defined(__riscv)
#define ILLEGAL "unimp"
#define BREAKPOINT "ebreak"
#endif

#ifndef OTHER_TRAP
#define OTHER_TRAP SIGTRAP
#endif
/* A request instead is told apart from the error. */
#ifdef DIVIDE
#define NO_DIVIDE 0
#else
#define NO_DIVIDE 1
#endif
#ifdef ILLEGAL
#define NO_ILLEGAL 0
#else
#define NO_ILLEGAL 1
#define ILLEGAL ""
#define BREAKPOINT ""
#endif

static void divide(void)
{
#ifdef DIVIDE
	__asm__ volatile(DIVIDE);
#else
	rfork_restart();
#endif
}

static void illegal(void)
{
	__asm__ volatile(ILLEGAL);
	rfork_restart();
}

static void breakpoint(void)
{
	__asm__ volatile(BREAKPOINT);
	rfork_restart();
}

static int deeper(int depth)
{
	volatile char room[4096];

	room[0] = (char)depth;
	return (depth ? deeper(depth + 1) : 0) + room[0];
}

static void overflow(void)
{
	deeper(1);
}

static void forbidden(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpriority, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { 4, code };

	/* A kernel without filters says so by a request, which is told apart from the error. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0)
		rfork_restart();
	syscall(SYS_getpriority, 0, 0);
}

static const struct {
	void (*make)(void);
	int signal, optional, other;
} errors[] = {
	{ wild_pointer, SIGSEGV, 0, 0 }, { beyond_end, SIGBUS, 0, 0 }, { divide, SIGFPE, NO_DIVIDE, 0 },
	{ illegal, SIGILL, NO_ILLEGAL, 0 }, { breakpoint, SIGTRAP, NO_ILLEGAL, OTHER_TRAP },
	{ overflow, SIGSEGV, 0, 0 }, { forbidden, SIGSYS, 1, 0 },
};
#define ERRORS (sizeof errors / sizeof *errors)

int main(void)
{
	struct rfork_options options = options_for_many();
	int rfd;
	pid_t pid = rfork_create(&options, &rfd);

	CHECK(pid >= 0);
	if (pid == 0) {
		if (rfork_generation() < (int64_t)ERRORS)
			errors[rfork_generation()].make();
		_exit(0);
	}
	for (size_t i = 0; i < ERRORS; i++) {
		struct rfork_event event = next_event(rfd, RFORK_EV_RESTART);

		if (errors[i].optional && event.cause == RFORK_CAUSE_REQUEST)
			continue;
		EQUAL(event.cause, RFORK_CAUSE_ERROR);
		CHECK(WIFSIGNALED(event.status));
		CHECK(WTERMSIG(event.status) == errors[i].signal || WTERMSIG(event.status) == errors[i].other);
	}
	EQUAL(expect_end(rfd, RFORK_END_EXIT).status, 0);
	return 0;
}
