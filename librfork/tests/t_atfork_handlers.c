/* SPDX-License-Identifier: MIT */
/* What a prepare handler may do under fork(2) it may do at a checkpoint: start a program, a process or a thread, change what is
 * done at SIGTRAP, run code at the end of what can be read, jump away. A checkpoint within a checkpoint is refused. */
#include "testing.h"
#include <pthread.h>
#include <setjmp.h>

enum { SPAWN, VFORK, FORK, THREAD, TRAP, EDGE, NESTED, JUMP, ACTIONS };

static volatile int action = -1;	/* -1: nothing */
static int well;
static jmp_buf outside;

static int exits_with_3(pid_t pid)
{
	int status = -1;

	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 3;
}

static void on_trap(int signal)
{
	(void)signal;
}

/* A debugger's or a profiler's child: it must have the handler and the mask of the program. */
static void check_child(void)
{
	struct sigaction now;
	sigset_t mask;

	CHECK(sigaction(SIGTRAP, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
	CHECK(sigprocmask(SIG_BLOCK, NULL, &mask) == 0 && sigismember(&mask, SIGTRAP) == 1);
	_exit(3);
}

static int fork_in_handler(void)
{
	pid_t pid = fork();

	if (pid == 0)
		check_child();
	return exits_with_3(pid);
}

static int vfork_in_handler(void)
{
	pid_t pid = vfork();

	if (pid == 0)
		_exit(3);
	return exits_with_3(pid);
}

static void *same(void *argument)
{
	return argument;
}

static int thread_in_handler(void)
{
	pthread_t thread;
	void *result = NULL;

	return pthread_create(&thread, NULL, same, &well) == 0 && pthread_join(thread, &result) == 0 && result == &well;
}

/* A return instruction on the last byte of a page with nothing behind it. */
static int run_to_the_edge(void)
{
	char *code = mmap(NULL, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void (*function)(void);

	CHECK(code != MAP_FAILED && munmap(code + 4096, 4096) == 0);
	code[4095] = (char)0xc3;
	*(void **)&function = code + 4095;
	function();
	return munmap(code, 4096) == 0;
}

static void prepare(void)
{
	int what = action;

	action = -1;	/* what is done here may fork, too */
	switch (what) {
	case SPAWN: well = access("/bin/sh", X_OK) < 0 || system("exit 3") == 3 << 8; break;
	case VFORK: well = vfork_in_handler(); break;
	case FORK: well = fork_in_handler(); break;
	case THREAD: well = thread_in_handler(); break;
	case TRAP: well = signal(SIGTRAP, on_trap) == SIG_DFL; break;
	case EDGE: well = run_to_the_edge(); break;
	case NESTED: well = rfork_checkpoint_with(0) == -EDEADLK && *rfork_problem(); break;
	case JUMP: longjmp(outside, 1);
	}
}

static void block_trap(void)
{
	sigset_t trap;

	sigemptyset(&trap);
	sigaddset(&trap, SIGTRAP);
	CHECK(sigprocmask(SIG_BLOCK, &trap, NULL) == 0);
}

/* There is no more to it than that SIGTRAP is the program's again: a C library's fork(3) is not made to be left so. */
static void jump(void)
{
	struct sigaction now;

	action = JUMP;
	if (setjmp(outside) == 0) {
		rfork_checkpoint_with(0);
		CHECK(!"left");
	}
	CHECK(sigaction(SIGTRAP, NULL, &now) == 0 && now.sa_handler == on_trap);
	_exit(0);
}

static _Noreturn void instance(void)
{
	struct sigaction now;

	CHECK(pthread_atfork(prepare, NULL, NULL) == 0);
	block_trap();
	for (int what = 0; what < JUMP; what++) {
		int64_t before = rfork_generation(), rc;

		well = 0;
		action = what;
		rc = rfork_checkpoint_with(0);
		if (rc == 0)
			rfork_restart();
		EQUAL(rc, before + 1);
		CHECK(!*rfork_problem());
		if (!well) {
			fprintf(stderr, "action %d did not work\n", what);
			_exit(1);
		}
		CHECK(sigaction(SIGTRAP, NULL, &now) == 0 && now.sa_handler == (what < TRAP ? SIG_DFL : on_trap));
		errno = 0;
		CHECK(waitpid(-1, NULL, WNOHANG | __WALL) < 0 && errno == ECHILD);
	}
	jump();
	_exit(1);
}

int main(void)
{
	struct rfork_options options = options_for_many();
	int rfd;
	pid_t pid = rfork_create(&options, &rfd);

	need(RFORK_CAN_RUN_HANDLERS_ONCE, "this backend runs fork handlers in its own processes too");
	CHECK(pid >= 0);
	if (pid == 0)
		instance();
	for (int i = 0; i < JUMP; i++) {
		next_event(rfd, RFORK_EV_CHECKPOINT);
		next_event(rfd, RFORK_EV_RESTART);
	}
	EQUAL(expect_end(rfd, RFORK_END_EXIT).status, 0);
	return 0;
}
