/* SPDX-License-Identifier: MIT */
/* System call filters of the restart point are there in every instance, and hold for its checkpoints too; what an instance
 * does to itself, by filters or in strict mode, which older kernels have too, is its own. */
#include "testing.h"
#include <stddef.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#define RESTARTS 10

static void forbid(unsigned int call)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOTTY),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { 4, code };

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0);
}

/* In strict mode there is no exit_group(2), with which _exit() ends a process, nor what abort() needs. */
static _Noreturn void strict_instance(void)
{
	if (rfork_generation() == RESTARTS)
		_exit(0);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0) == 0);
	syscall(SYS_exit, RFORK_RESTART_STATUS);
	for (;;)
		;
}

static int is_forbidden(long call)
{
	return syscall(call, 0, 0) < 0 && errno == ENOTTY;
}

static _Noreturn void instance(void)
{
	CHECK(is_forbidden(SYS_getpriority));
	CHECK(!is_forbidden(SYS_getsid));
	if (rfork_generation() == RESTARTS)
		CHECK(rfork_checkpoint() >= 0);
	forbid(SYS_getsid);
	CHECK(is_forbidden(SYS_getsid));
	if (rfork_generation() < 2 * RESTARTS)
		rfork_restart();
	_exit(0);
}

static void filters(void)
{
	struct rfork_options options = options_for_many();
	int rfd;
	pid_t pid;

	forbid(SYS_getpriority);
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0)
		instance();
	for (int i = 0; i < 2 * RESTARTS; i++) {
		if (i == RESTARTS)
			next_event(rfd, RFORK_EV_CHECKPOINT);
		EQUAL(next_event(rfd, RFORK_EV_RESTART).flags & ~RFORK_SPARE, i < RESTARTS ? 0 : RFORK_WARM);
	}
	EQUAL(expect_end(rfd, RFORK_END_EXIT).status, 0);
}

int main(void)
{
	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0)
		SKIP("this kernel has no seccomp");
	run_to_exit(strict_instance, RESTARTS);
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) >= 0)	/* older than that, it has no filters */
		filters();
	return 0;
}
