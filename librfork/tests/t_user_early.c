/* SPDX-License-Identifier: MIT */
/*
 * RFORK_EARLY: the next instance begins while the last one is still ending, with the same cause and status; and nothing that
 * is no end is taken for one. A process that is traced is not over for its parent until its tracer has waited for it: so
 * the test holds up an end as a close(2) would that takes its time.
 */
#include "testing.h"
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/utsname.h>

#define TRIES 50
#define A_WHILE 150	/* ms in which nothing happens that must not */

enum order { NONE, EXIT_85, EXIT_3, EXIT_0, CRASH, LIE };

static struct common {
	_Atomic int order;
	_Atomic int seen;	/* something that the instance has done before its end */
} *common;

/* What a keeper says to the monitor, said by a child of an instance that goes on. */
static void lie(void)
{
	const char *known = getenv("RFORK_USER");
	const unsigned int notice[2] = { 3, 0 };
	unsigned int pid, control;
	pid_t liar;

	CHECK(known && sscanf(known, "%x,%x,", &pid, &control) == 2);
	liar = fork();
	CHECK(liar >= 0);
	if (liar)
		return;
	common->seen = 1;
	while (common->seen != 2)
		pause_ms(1);
	CHECK(write((int)control, notice, sizeof notice) == sizeof notice);
	_exit(0);
}

static void obey(enum order order)
{
	switch (order) {
	case NONE: pause_ms(1); break;
	case EXIT_85: _exit(85);
	case EXIT_3: _exit(3);
	case EXIT_0: _exit(0);
	case CRASH: abort();
	case LIE: lie(); break;
	}
}

static _Noreturn void instance(void)
{
	for (;;)
		obey(atomic_exchange(&common->order, NONE));
}

static pid_t monitor;		/* of the group made last */

static int create(uint64_t flags, void (*body)(void))
{
	struct rfork_options options = options_for_many();
	int rfd;

	common->order = NONE;
	common->seen = 0;
	options.flags = RFORK_ON_STATUS | RFORK_ON_SIGNAL | flags;
	monitor = rfork_create(&options, &rfd);
	CHECK(monitor >= 0);
	if (monitor == 0) {
		body();
		_exit(9);
	}
	return rfd;
}

static pid_t current(int rfd)
{
	struct rfork_info info;

	EQUAL(rfork_query(rfd, &info), 0);
	CHECK(info.pid > 0);
	return info.pid;
}

static int nothing_within(int rfd, int ms)
{
	struct pollfd waiting = { .fd = rfd, .events = POLLIN };

	return poll(&waiting, 1, ms) == 0;
}

/* From now on it is not over until let_go(). */
static pid_t hold(int rfd)
{
	pid_t pid = current(rfd);

	CHECK(ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0);
	return pid;
}

static void let_go(pid_t pid, int status)
{
	int got;

	CHECK(waitpid(pid, &got, __WALL) == pid);
	EQUAL(got, status);
	EVENTUALLY(no_such_process(pid));
}

/* An abort() stops for the tracer first, which hands it on. */
static void give(enum order order, pid_t pid)
{
	int status;

	common->order = order;
	if (order != CRASH)
		return;
	CHECK(waitpid(pid, &status, __WALL) == pid);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGABRT);
	CHECK(ptrace(PTRACE_CONT, pid, NULL, (long)SIGABRT) == 0);
}

/*
 * One early restart; the instance that is ending still. On a busy machine the monitor may hear of an end in no other way
 * than as ever: the hint came before the spare was ready, say. Then another one is tried.
 */
static pid_t restart_early(int rfd, enum order order, int status, unsigned int cause, unsigned int more_flags)
{
	for (int i = 0; i < TRIES; i++) {
		struct rfork_event event;
		pid_t pid = hold(rfd);
		int early;

		pause_ms(20);		/* its successor is ready by then, mostly */
		give(order, pid);
		early = !nothing_within(rfd, 1000);
		if (!early)
			let_go(pid, status);
		event = next_event(rfd, RFORK_EV_RESTART);
		EQUAL(event.status, status);
		EQUAL(event.cause, cause);
		EQUAL(event.old_pid, pid);
		EQUAL(!!(event.flags & RFORK_EARLY), early);
		if (!early)
			continue;
		EQUAL(event.flags, RFORK_EARLY | RFORK_SPARE | more_flags);
		EQUAL(kill(pid, 0), 0);
		EQUAL(current(rfd), event.new_pid);
		return pid;
	}
	fprintf(stderr, "not once in %d restarts\n", TRIES);
	_exit(1);
}

/* Of this kernel or a later one. */
static int kernel_is(int wanted_major, int wanted_minor)
{
	struct utsname name;
	int major, minor;

	CHECK(uname(&name) == 0 && sscanf(name.release, "%d.%d", &major, &minor) == 2);
	return major > wanted_major || (major == wanted_major && minor >= wanted_minor);
}

static void tells_cause_and_status(void)
{
	int rfd = create(RFORK_EARLY, instance);

	let_go(restart_early(rfd, EXIT_85, 85 << 8, RFORK_CAUSE_REQUEST, 0), 85 << 8);
	let_go(restart_early(rfd, EXIT_3, 3 << 8, RFORK_CAUSE_STATUS, 0), 3 << 8);
	if (kernel_is(5, 17))
		let_go(restart_early(rfd, CRASH, SIGABRT, RFORK_CAUSE_ERROR, 0), SIGABRT);
	stop_group(rfd);
	close(rfd);
}

static void not_unless_asked_for(void)
{
	int rfd = create(0, instance);
	pid_t pid = hold(rfd);

	common->order = EXIT_85;
	CHECK(nothing_within(rfd, A_WHILE));
	let_go(pid, 85 << 8);
	CHECK(!(next_event(rfd, RFORK_EV_RESTART).flags & RFORK_EARLY));
	stop_group(rfd);
	close(rfd);
}

/* Status 0 cannot be told from one that may not be read: it is waited for. */
static void exit_is_waited_for(void)
{
	int rfd = create(RFORK_EARLY, instance);
	pid_t pid = hold(rfd);

	pause_ms(20);
	common->order = EXIT_0;
	CHECK(nothing_within(rfd, A_WHILE));
	let_go(pid, 0);
	EQUAL(expect_end(rfd, RFORK_END_EXIT).status, 0);
	close(rfd);
}

/* Only one at a time: whoever fails while another is ending is waited for. And the group's end is told after all ends. */
static void one_is_ending_at_a_time(void)
{
	int rfd = create(RFORK_EARLY, instance);
	pid_t first = restart_early(rfd, EXIT_85, 85 << 8, RFORK_CAUSE_REQUEST, 0), second = hold(rfd);
	struct rfork_info info;

	pause_ms(20);
	common->order = EXIT_85;
	CHECK(nothing_within(rfd, A_WHILE));
	let_go(second, 85 << 8);
	CHECK(!(next_event(rfd, RFORK_EV_RESTART).flags & RFORK_EARLY));
	EQUAL(rfork_stop(rfd, SIGKILL), 0);
	CHECK(nothing_within(rfd, A_WHILE));
	EQUAL(rfork_query(rfd, &info), 0);	/* whoever asks meanwhile is answered */
	EQUAL(info.pid, 0);
	let_go(first, 85 << 8);
	expect_end(rfd, RFORK_END_STOP);
	close(rfd);
}

static _Noreturn void from_checkpoint(void)
{
	CHECK(rfork_checkpoint() >= 0);
	instance();
}

static void from_a_checkpoint_too(void)
{
	int rfd = create(RFORK_EARLY, from_checkpoint);

	next_event(rfd, RFORK_EV_CHECKPOINT);
	common->order = EXIT_85;
	next_event(rfd, RFORK_EV_RESTART);
	let_go(restart_early(rfd, EXIT_85, 85 << 8, RFORK_CAUSE_REQUEST, RFORK_WARM), 85 << 8);
	stop_group(rfd);
	close(rfd);
}

/* Not even while a debugger has stopped the instance, which leaves a number where a status would be. */
static void hints_alone_do_nothing(void)
{
	int rfd = create(RFORK_EARLY, instance), status;
	pid_t pid = current(rfd);

	pause_ms(20);
	common->order = LIE;
	EVENTUALLY(common->seen == 1);
	hold(rfd);
	CHECK(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == 0);
	pause_ms(20);
	common->seen = 2;
	CHECK(nothing_within(rfd, A_WHILE));
	CHECK(waitpid(pid, &status, __WALL) == pid);
	CHECK(WIFSTOPPED(status));
	CHECK(ptrace(PTRACE_DETACH, pid, NULL, NULL) == 0);
	common->order = EXIT_85;
	EQUAL(next_event(rfd, RFORK_EV_RESTART).generation, 1);
	stop_group(rfd);
	close(rfd);
}

/* The memory is let go of, and the process goes on. */
static _Noreturn void execute(void)
{
	if (rfork_generation() == 0)
		execl("/bin/sh", "sh", "-c", "sleep 1; exit 7", (char *)NULL);
	instance();
}

static void exec_is_no_end(void)
{
	int rfd = create(RFORK_EARLY, execute);
	struct rfork_event event = next_event(rfd, RFORK_EV_RESTART);

	EQUAL(event.generation, 1);
	EQUAL(event.status, 7 << 8);
	stop_group(rfd);
	close(rfd);
}

static void *outlive(void *unused)
{
	(void)unused;
	pause_ms(A_WHILE);
	common->seen = 1;
	_exit(85);
}

static _Noreturn void leave_by_exit(void)
{
	pthread_t thread;

	if (rfork_generation())
		instance();
	CHECK(pthread_create(&thread, NULL, outlive, NULL) == 0);
	pause_ms(20);
	syscall(SYS_exit, 3);
	_exit(9);
}

#ifdef __GLIBC__
static pthread_t first_thread;

static void *join_first(void *unused)
{
	(void)unused;
	CHECK(pthread_join(first_thread, NULL) == 0);
	common->seen = 1;
	_exit(85);
}

static _Noreturn void leave_by_pthread_exit(void)
{
	pthread_t thread;

	if (rfork_generation())
		instance();
	first_thread = pthread_self();
	CHECK(pthread_create(&thread, NULL, join_first, NULL) == 0);
	pause_ms(20);
	pthread_exit(NULL);
}
#endif

/* Nor is a thread's, be it the first; and who waits for that thread is woken as ever. */
static void thread_is_no_end(void (*body)(void))
{
	int rfd = create(RFORK_EARLY, body);
	struct rfork_event event = next_event(rfd, RFORK_EV_RESTART);

	CHECK(common->seen);
	EQUAL(event.generation, 1);
	EQUAL(event.status, 85 << 8);
	stop_group(rfd);
	close(rfd);
}

/* As sched_getattr(2) has it. */
static unsigned long long slice_of(pid_t pid)
{
	struct {
		unsigned int size, policy;
		unsigned long long flags;
		int nice;
		unsigned int priority;
		unsigned long long runtime, deadline, period;
	} sched = { 0 };

	CHECK(syscall(SYS_sched_getattr, pid, &sched, sizeof sched, 0) == 0);
	return sched.runtime;
}

/* The monitor's short time slice is its own; what an administrator gives the monitor is its instances'. */
static void scheduling_is_inherited(void)
{
	int rfd = create(RFORK_EARLY, instance);
	struct rfork_event event;

	CHECK(setpriority(PRIO_PROCESS, (id_t)monitor, 3) == 0);
	for (int i = 0; i < 2; i++) {	/* the first one's successor is there already */
		pause_ms(20);
		common->order = EXIT_85;
		event = next_event(rfd, RFORK_EV_RESTART);
	}
	EQUAL(getpriority(PRIO_PROCESS, (id_t)event.new_pid), 3);
	EQUAL(slice_of(event.new_pid), slice_of(getpid()));
	stop_group(rfd);
	close(rfd);
}

/* Where it can't be had, a group with the flag is one like others. */
static void as_ever(void)
{
	int rfd = create(RFORK_EARLY, instance);

	for (int i = 0; i < 3; i++) {
		common->order = EXIT_85;
		CHECK(!(next_event(rfd, RFORK_EV_RESTART).flags & RFORK_EARLY));
	}
	stop_group(rfd);
	close(rfd);
}

/* A seccomp filter, and how a process ended in its /proc/PID/stat: since Linux 3.5. */
static int is_to_be_had(void)
{
	int filters = prctl(PR_SET_SECCOMP, 2, NULL) < 0 && errno == EFAULT;

	return rfork_backend() == RFORK_BACKEND_USER && kernel_is(3, 5) && filters && prctl(PR_GET_SECCOMP) == 0;
}

int main(void)
{
	common = shared(sizeof *common);
	if (!is_to_be_had()) {
		as_ever();
		return 0;
	}
	not_unless_asked_for();
	tells_cause_and_status();
	exit_is_waited_for();
	one_is_ending_at_a_time();
	from_a_checkpoint_too();
	hints_alone_do_nothing();
	if (kernel_is(3, 14))
		scheduling_is_inherited();
	exec_is_no_end();
	thread_is_no_end(leave_by_exit);
#ifdef __GLIBC__	/* after a fork(2) musl's pthread_exit(3) of the first thread leaves its list of threads locked */
	thread_is_no_end(leave_by_pthread_exit);
#endif
	return 0;
}
