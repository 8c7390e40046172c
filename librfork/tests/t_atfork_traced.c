/* SPDX-License-Identifier: MIT */
/* Under a debugger the fork handlers cannot be reached: the checkpoint is refused with EOPNOTSUPP and says so, unless the
 * program reseeds by itself. Once the debugger has gone it works. */
#include "testing.h"
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>

#ifndef PR_SET_PTRACER
#define PR_SET_PTRACER 0x59616d61
#endif

static int in_parent;

static void parent(void)
{
	in_parent++;
}

/* Until the traced process stops itself. */
static _Noreturn void trace(pid_t pid, int ready)
{
	int status;

	if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) < 0)
		_exit(7);
	CHECK(waitpid(pid, &status, __WALL) == pid);
	CHECK(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0);
	CHECK(write(ready, "", 1) == 1);
	CHECK(waitpid(pid, &status, __WALL) == pid);
	EQUAL(WSTOPSIG(status), SIGSTOP);
	CHECK(ptrace(PTRACE_DETACH, pid, NULL, NULL) == 0);
	_exit(0);
}

static pid_t start_tracer(void)
{
	pid_t pid, self = getpid();
	int ends[2], go[2];
	char byte;

	CHECK(pipe(ends) == 0 && pipe(go) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		close(ends[0]);
		CHECK(read(go[0], &byte, 1) == 1);
		trace(self, ends[1]);
	}
	close(ends[1]);
	prctl(PR_SET_PTRACER, pid, 0, 0, 0);
	CHECK(write(go[1], "", 1) == 1);
	if (read(ends[0], &byte, 1) != 1)
		_exit(77);
	close(ends[0]);
	close(go[0]);
	close(go[1]);
	return pid;
}

static _Noreturn void instance(void)
{
	int status;
	pid_t tracer;

	tracer = start_tracer();
	CHECK(pthread_atfork(NULL, parent, NULL) == 0);
	EQUAL(rfork_checkpoint_with(0), -EOPNOTSUPP);
	CHECK(strstr(rfork_problem(), "pthread_atfork(3)"));
	EQUAL(in_parent, 0);
	EQUAL(rfork_checkpoint_with(RFORK_RESEED), 0);
	EQUAL(in_parent, 0);
	raise(SIGSTOP);
	CHECK(waitpid(tracer, &status, 0) == tracer);
	EQUAL(status, 0);
	EQUAL(rfork_checkpoint_with(0), 0);
	EQUAL(in_parent, 1);
	_exit(0);
}

int main(void)
{
	struct rfork_event event = { 0 };
	int rfd, checkpoints = 0;
	pid_t pid = rfork_create(NULL, &rfd);

	need(RFORK_CAN_RUN_HANDLERS_ONCE, "this backend forks, whoever watches");
	CHECK(pid >= 0);
	if (pid == 0)
		instance();
	for (; event.type != RFORK_EV_END; checkpoints += event.type == RFORK_EV_CHECKPOINT)
		EQUAL(rfork_next_event(rfd, &event), 1);
	if (WIFEXITED(event.status) && WEXITSTATUS(event.status) == 77)
		SKIP("no process may trace another here");
	EQUAL(event.status, 0);
	EQUAL(checkpoints, 2);
	return 0;
}
