/* SPDX-License-Identifier: MIT */
/* A checkpoint runs fork handlers as fork(2) does: prepare and parent once, in the caller, in their order; child in every
 * instance that begins there, with the program's signal mask. The C library knows the new thread, and SIGTRAP is as it was. */
#include "testing.h"
#include <pthread.h>

#define RESTARTS 20

static char ran[16];
static int length;
static sigset_t mask_in_child;
static pid_t pid_in_child;

static void note(char what)
{
	if (length < (int)sizeof ran - 1)
		ran[length++] = what;
}

static void prepare_1(void) { note('p'); }
static void prepare_2(void) { note('q'); }
static void parent_1(void) { note('a'); }
static void parent_2(void) { note('b'); }
static void child_2(void) { note('d'); }

static void child_1(void)
{
	note('c');
	pid_in_child = getpid();
	sigprocmask(SIG_BLOCK, NULL, &mask_in_child);
}

static void on_trap(int signal)
{
	(void)signal;
}

static void check_signals(void)
{
	struct sigaction action;
	sigset_t mask;

	sigaction(SIGTRAP, NULL, &action);
	CHECK(action.sa_handler == on_trap);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	for (int signal = 1; signal < 32; signal++)
		EQUAL(sigismember(&mask, signal), signal == SIGTRAP || signal == SIGUSR2);
}

static void check_thread(void)
{
	pthread_mutexattr_t kind;
	pthread_mutex_t mutex;

	pthread_mutexattr_init(&kind);
	pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&mutex, &kind);
	EQUAL(pthread_mutex_lock(&mutex), 0);
	EQUAL(pthread_mutex_lock(&mutex), EDEADLK);
	EQUAL(pthread_mutex_unlock(&mutex), 0);
}

static void check_order(int64_t generation)
{
	if (generation == 0) {
		CHECK(!strcmp(ran, "qpab"));
		return;
	}
	CHECK(!strcmp(ran, "qpcd"));
	EQUAL(pid_in_child, getpid());
	EQUAL(sigismember(&mask_in_child, SIGTERM), 0);
	EQUAL(sigismember(&mask_in_child, SIGUSR2), 1);
}

static _Noreturn void instance(void)
{
	sigset_t mask;
	int64_t generation;

	CHECK(pthread_atfork(prepare_1, parent_1, child_1) == 0);
	CHECK(pthread_atfork(prepare_2, parent_2, child_2) == 0);
	signal(SIGTRAP, on_trap);
	sigemptyset(&mask);
	sigaddset(&mask, SIGTRAP);
	sigaddset(&mask, SIGUSR2);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	generation = rfork_checkpoint();
	EQUAL(generation, rfork_generation());
	check_order(generation);
	check_signals();
	check_thread();
	free(malloc(100000));
	if (generation < RESTARTS)
		abort();
	EQUAL(waitpid(-1, NULL, __WALL), -1);
	_exit(0);
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
	next_event(rfd, RFORK_EV_CHECKPOINT);
	for (int i = 0; i < RESTARTS; i++)
		EQUAL(next_event(rfd, RFORK_EV_RESTART).flags & RFORK_WARM, RFORK_WARM);
	EQUAL(expect_end(rfd, RFORK_END_EXIT).status, 0);
	return 0;
}
