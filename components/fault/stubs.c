/* SPDX-License-Identifier: MIT */
#include "stubs.h"

#include <string.h>

/*
 * The wild pointer: the last page below 2^47. It is a canonical address, so the processor
 * takes a page fault and not a general protection fault, and no kernel ever maps it.
 */
#define LOAD_WILD							\
	0x48, 0xb8, 0xa8, 0xf5, 0xff, 0xff, 0xff, 0x7f, 0x00, 0x00,	/* mov rax, 0x7ffffffff5a8 */ \
	0x48, 0x8b, 0x00			/* mov rax, [rax] */

#define SYSCALL 0x0f, 0x05

static const unsigned char wild[] = { LOAD_WILD };

/* Endless: jump to itself. It takes no more heartbeats. */
static const unsigned char hang[] = { 0xeb, 0xfe };

/* Endless recursion, as far as the stack is concerned. */
static const unsigned char stack[] = {
	0x50,			/* push rax */
	0xeb, 0xfd,		/* jmp to the push */
};

/* exit_group(85): RFORK_RESTART_STATUS, the request to be restarted. */
static const unsigned char request[] = {
	0xbf, 85, 0, 0, 0,	/* mov edi, 85 */
	0xb8, 231, 0, 0, 0,	/* mov eax, exit_group */
	SYSCALL,
};

/*
 * What abort(3) does: unblock SIGABRT and raise it; if a handler came back, take its default
 * action and raise it again. The signal set and the sigaction lie on the stack.
 */
static const unsigned char abort_self[] = {
	0x48, 0x83, 0xe4, 0xf0,		/* and rsp, -16 */
	0x6a, 0x20,			/* push 1 << (SIGABRT - 1) */
	0x31, 0xff, 0xff, 0xc7,		/* xor edi, edi; inc edi (SIG_UNBLOCK) */
	0x48, 0x89, 0xe6,		/* mov rsi, rsp */
	0x31, 0xd2,			/* xor edx, edx */
	0x41, 0xba, 8, 0, 0, 0,		/* mov r10d, 8 */
	0xb8, 14, 0, 0, 0, SYSCALL,	/* rt_sigprocmask */
	/* raise: */
	0xb8, 39, 0, 0, 0, SYSCALL,	/* getpid */
	0x89, 0xc7,			/* mov edi, eax */
	0xb8, 186, 0, 0, 0, SYSCALL,	/* gettid */
	0x89, 0xc6,			/* mov esi, eax */
	0xba, 6, 0, 0, 0,		/* mov edx, SIGABRT */
	0xb8, 234, 0, 0, 0, SYSCALL,	/* tgkill */
	/* a handler came back: the default action, four zero words as struct sigaction */
	0x31, 0xc0,			/* xor eax, eax */
	0x50, 0x50, 0x50, 0x50,		/* push rax, four times */
	0xbf, 6, 0, 0, 0,		/* mov edi, SIGABRT */
	0x48, 0x89, 0xe6,		/* mov rsi, rsp */
	0x31, 0xd2,			/* xor edx, edx */
	0x41, 0xba, 8, 0, 0, 0,		/* mov r10d, 8 */
	0xb8, 13, 0, 0, 0, SYSCALL,	/* rt_sigaction */
	0xeb, 0xc3,			/* jmp raise */
};

/*
 * Take memory, 1 MiB at a time, and write to each page of it, until the kernel kills the
 * process. Where it refuses instead (RLIMIT_AS, no overcommit) the program does what programs
 * do that do not look at malloc's result: it uses the pointer.
 */
static const unsigned char leak[] = {
	/* more: */
	0x31, 0xff,			/* xor edi, edi */
	0xbe, 0, 0, 0x10, 0,		/* mov esi, 1 MiB */
	0xba, 3, 0, 0, 0,		/* mov edx, PROT_READ | PROT_WRITE */
	0x41, 0xba, 0x22, 0, 0, 0,	/* mov r10d, MAP_PRIVATE | MAP_ANONYMOUS */
	0x49, 0x83, 0xc8, 0xff,		/* or r8, -1 */
	0x45, 0x31, 0xc9,		/* xor r9d, r9d */
	0xb8, 9, 0, 0, 0, SYSCALL,	/* mmap */
	0x48, 0x3d, 0, 0xf0, 0xff, 0xff, /* cmp rax, -4096 */
	0x77, 0x14,			/* ja refused */
	0xb9, 0, 1, 0, 0,		/* mov ecx, 256 pages */
	/* touch: */
	0xc6, 0x00, 0x5a,		/* mov byte [rax], 0x5a */
	0x48, 0x05, 0, 0x10, 0, 0,	/* add rax, 4096 */
	0xff, 0xc9,			/* dec ecx */
	0x75, 0xf3,			/* jnz touch */
	0xeb, 0xc4,			/* jmp more */
	/* refused: */
	LOAD_WILD,
};

static const struct stub stubs[] = {
	{ "wild", wild, sizeof(wild) },
	{ "abort", abort_self, sizeof(abort_self) },
	{ "request", request, sizeof(request) },
	{ "hang", hang, sizeof(hang) },
	{ "leak", leak, sizeof(leak) },
	{ "stack", stack, sizeof(stack) },
};

const struct stub *stub_find(const char *kind)
{
	for (size_t i = 0; i < sizeof(stubs) / sizeof(stubs[0]); i++)
		if (strcmp(stubs[i].kind, kind) == 0)
			return &stubs[i];
	return NULL;
}
