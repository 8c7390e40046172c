/* SPDX-License-Identifier: MIT */
/* As with fork(2), a restart brings back neither timers nor pending signals, whether they were set before the restart point or
 * after it, and a timer set again is one, not two. */
#include "testing.h"
#include <sys/time.h>

#define RESTARTS 50

static volatile sig_atomic_t rang;

static void on_alarm(int signo)
{
	(void)signo;
	rang++;
}

static void set_timers(void)
{
	struct itimerval hour = { .it_value = { .tv_sec = 3600 } };
	struct itimerspec day = { .it_value = { .tv_sec = 86400 } };
	timer_t timer;

	CHECK(setitimer(ITIMER_REAL, &hour, NULL) == 0);
	CHECK(setitimer(ITIMER_VIRTUAL, &hour, NULL) == 0);
	CHECK(setitimer(ITIMER_PROF, &hour, NULL) == 0);
	CHECK(timer_create(CLOCK_MONOTONIC, NULL, &timer) == 0);
	CHECK(timer_settime(timer, 0, &day, NULL) == 0);
}

static void expect_none(void)
{
	static const int kinds[] = { ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF };
	struct itimerspec left;
	struct itimerval now;
	sigset_t pending;

	for (int i = 0; i < 3; i++) {
		CHECK(getitimer(kinds[i], &now) == 0);
		EQUAL(now.it_value.tv_sec, 0);
		EQUAL(now.it_value.tv_usec, 0);
	}
	/* The kernel numbers a process's timers from 0. */
	for (int timer = 0; timer < 8; timer++)
		CHECK(syscall(SYS_timer_gettime, timer, &left) < 0);
	CHECK(sigpending(&pending) == 0);
	EQUAL(sigismember(&pending, SIGUSR2), 0);
}

/* In a loaded machine as in an idle one: it waits until the timer has rung. */
static void ring_once(void)
{
	struct itimerval soon = { .it_value = { .tv_usec = 1000 } };

	rang = 0;
	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	EVENTUALLY(rang == 1);
}

static _Noreturn void instance(void)
{
	expect_none();
	if (rfork_generation() == RESTARTS) {
		ring_once();
		_exit(0);
	}
	set_timers();
	raise(SIGUSR2);
	rfork_restart();
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_alarm };
	sigset_t set;

	sigaction(SIGALRM, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	raise(SIGUSR2);
	set_timers();
	run_to_exit(instance, RESTARTS);
	return 0;
}
