/* SPDX-License-Identifier: MIT */
/* The parent is notified of instances in their order, also if the first thread of one is still on its way out when the last
 * thread has ended and the next instance fails. */
#define _GNU_SOURCE
#include <sched.h>
#include "system.h"
#include <pthread.h>
#include <sys/time.h>

static volatile int *order;	/* PIDs of the instances as they began */
static int restarts;

/* From 1 us to 20 ms in steps of a fiftieth, for machines of every speed. */
static long delay_us(int generation)
{
	double delay = 1;

	for (int i = generation / 2 % 500; i > 0; i--)
		delay *= 1.02;
	return (long)delay;
}

/* The alarm comes while the first thread, which yields to this one, ends. */
static void *other_thread(void *alarm)
{
	int sig;

	CHECK(sigwait(alarm, &sig) == 0);
	_exit(1);
}

static _Noreturn void instance(void)
{
	int generation = (int)rfork_generation();
	struct itimerval timer = { .it_value.tv_usec = delay_us(generation) };
	pthread_t thread;
	sigset_t alarm;

	order[generation] = getpid();
	if (generation == restarts)
		_exit(0);
	if (generation % 2) /* at once: the thread before has no time to end */
		_exit(1);
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	CHECK(sigprocmask(SIG_BLOCK, &alarm, NULL) == 0);
	CHECK(pthread_create(&thread, NULL, other_thread, &alarm) == 0);
	CHECK(setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19) == 0);
	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
	for (;;)
		syscall(SYS_exit, 0); /* this thread only */
}

int main(void)
{
	struct rfork_options options = options_for_many();
	sigset_t set;
	int rfd;
	pid_t pid;

	cpu_set_t one;

	if (!is_kernel_level())
		SKIP("the monitor is the child");
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
	restarts = few_or_all(1000, 10000);
	order = shared((size_t)(restarts + 1) * sizeof *order);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	options.flags = RFORK_ON_STATUS;
	options.exit_signal = SIGRTMIN;
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0)
		instance();
	for (int i = 0; i <= restarts; i++) {
		siginfo_t info;

		EQUAL(sigwaitinfo(&set, &info), SIGRTMIN);
		EQUAL(info.si_pid, order[i]);
		EQUAL(waitpid(info.si_pid, NULL, __WALL), info.si_pid);
	}
	return 0;
}
