/* SPDX-License-Identifier: MIT */
/* The kernel brings back every register of the restart point, the floating-point units' among them: the restarted process
 * returns from the same system call, with nothing changed but its result. */
#include "testing.h"

#if defined(__x86_64__) && !defined(__ILP32__)
#define RESTARTS 100

/* What the call must leave alone: all but rax (result), rcx and r11 (the instruction's). */
struct registers {
	uint64_t general[9];	/* rbx rdi rsi rdx r8 r9 r10 r12 r13 */
	uint64_t flags;
	double sse[2], x87;
};

static const struct registers wanted = {
	{ 0x1111111111111111, RFORK_CREATE, 0, sizeof(struct rfork_args), 0x8888888888888888, 0x9999999999999999,
	  0xaaaaaaaaaaaaaaaa, 0xcccccccccccccccc, 0xdddddddddddddddd },
	0, { 6.25, -1e300 }, 0.1,
};

/* The direction flag is set over the call, and would be a random one's had it got lost. */
static long create(struct rfork_args *args, struct registers *found)
{
	long result = __NR_rfork;

	__asm__ volatile(
		"movq %[rbx], %%rbx\n movq %[r8], %%r8\n movq %[r9], %%r9\n movq %[r10], %%r10\n"
		"movq %[r12], %%r12\n movq %[r13], %%r13\n movsd %[sse0], %%xmm7\n movsd %[sse1], %%xmm15\n"
		"fldl %[x87]\n std\n syscall\n"
		"pushfq\n cld\n popq %%r11\n movq %%r11, 72(%[found])\n"
		"movq %%rbx, (%[found])\n movq %%rdi, 8(%[found])\n movq %%rsi, 16(%[found])\n movq %%rdx, 24(%[found])\n"
		"movq %%r8, 32(%[found])\n movq %%r9, 40(%[found])\n movq %%r10, 48(%[found])\n"
		"movq %%r12, 56(%[found])\n movq %%r13, 64(%[found])\n"
		"movsd %%xmm7, 80(%[found])\n movsd %%xmm15, 88(%[found])\n fstpl 96(%[found])\n"
		: "+a"(result)
		: [found] "r"(found), "D"((long)RFORK_CREATE), "S"(args), "d"(sizeof *args), [rbx] "m"(wanted.general[0]),
		  [r8] "m"(wanted.general[4]), [r9] "m"(wanted.general[5]), [r10] "m"(wanted.general[6]),
		  [r12] "m"(wanted.general[7]), [r13] "m"(wanted.general[8]), [sse0] "m"(wanted.sse[0]),
		  [sse1] "m"(wanted.sse[1]), [x87] "m"(wanted.x87)
		: "rbx", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "xmm7", "xmm15", "memory", "cc", "st");
	return result;
}

static void check(const struct registers *found, const struct rfork_args *args)
{
	for (int i = 0; i < 9; i++)
		EQUAL(found->general[i], i == 2 ? (uint64_t)(uintptr_t)args : wanted.general[i]);
	CHECK(found->flags & 1 << 10);
	CHECK(!memcmp(found->sse, wanted.sse, sizeof wanted.sse));
	CHECK(!memcmp(&found->x87, &wanted.x87, sizeof wanted.x87));
}

int main(void)
{
	__s32 rfd = -1;
	struct rfork_args args = {
		.rfd = (uintptr_t)&rfd, .exit_signal = SIGCHLD, .burst = RFORK_BURST_UNLIMITED,
	};
	static struct registers found;
	long pid;

	if (rfork_backend() != RFORK_BACKEND_KERNEL)
		SKIP("the user level restarts within the library's function, which saves what a caller may count on");
	pid = create(&args, &found);
	CHECK(pid >= 0);
	check(&found, &args);
	if (pid == 0) {
		if (rfork_generation() < RESTARTS)
			_exit(RFORK_RESTART_STATUS);
		_exit(0);
	}
	for (int i = 0; i < RESTARTS; i++)
		EQUAL(next_event(rfd, RFORK_EV_RESTART).cause, RFORK_CAUSE_REQUEST);
	EQUAL(expect_end(rfd, RFORK_END_EXIT).status, 0);
	return 0;
}
#else
int main(void)
{
	SKIP("written for x86-64, as is the kernel's call");
}
#endif
