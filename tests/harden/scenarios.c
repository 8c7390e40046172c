/* SPDX-License-Identifier: MIT */
/* What faults are injected into: each command of rfork(2), a restart, an instance's end, and reading events. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harden.h"
#include "inject.h"

#define EVENT_MS 30000
#define RFORK_TRIES 5 /* of a copy, as the contract says */

static uint64_t flags = RFORK_NO_SPARE; /* so that nobody makes copies in the background */

static struct rfork_args plain(int *rfd)
{
	return (struct rfork_args){
		.rfd = (uintptr_t)rfd,
		.exit_signal = SIGCHLD,
		.burst = RFORK_BURST_UNLIMITED,
		.flags = RFORK_ON_SIGNAL | flags,
	};
}

/* The instances of these groups only wait. */
static long create_waiting(int *rfd)
{
	struct rfork_args args = plain(rfd);
	long result = syscall(__NR_rfork, RFORK_CREATE, &args, sizeof args);

	if (result == 0)
		for (;;)
			pause();
	shared->calls++;
	shared->groups += result > 0;
	return result < 0 ? -errno : result;
}

/* The next event, or one of type 0 where none comes. */
static struct rfork_event next_event(int rfd)
{
	struct rfork_event event = { 0 };
	struct pollfd waiting = { .fd = rfd, .events = POLLIN };

	if (poll(&waiting, 1, EVENT_MS) == 1 && read(rfd, &event, sizeof event) != sizeof event)
		event.type = 0;
	return event;
}

static void expect_event(const char *what, long nth, int rfd, uint32_t type, struct rfork_event *event)
{
	*event = next_event(rfd);
	if (event->type != type)
		finding("%s with fault %ld: event %u where %u was due (reason %u)", what, nth, event->type, type,
			event->reason);
}

static void stop(const char *what, long nth, int rfd)
{
	struct rfork_ctl ctl = { .rfd = rfd, .signal = SIGKILL };
	struct rfork_event event;

	shared->calls++;
	if (syscall(__NR_rfork, RFORK_STOP, &ctl, sizeof ctl) < 0)
		finding("%s with fault %ld: rfork(STOP): error %d", what, nth, errno);
	expect_event(what, nth, rfd, RFORK_EV_END, &event);
	close(rfd);
	while (waitpid(-1, NULL, __WALL) > 0)
		;
}

/* A group that came to be in spite of a fault is a whole one. */
static void check_works(const char *what, long nth, pid_t pid, int rfd)
{
	struct rfork_event event;

	kill(pid, SIGSEGV);
	expect_event(what, nth, rfd, RFORK_EV_RESTART, &event);
	stop(what, nth, rfd);
}

static int in_create(long nth)
{
	int rfd = -1, fired;
	long result;

	arm(nth);
	result = create_waiting(&rfd);
	fired = disarm();
	if (result > 0)
		check_works("create", nth, (pid_t)result, rfd);
	else if (!fired || (result != -ENOMEM && result != -EAGAIN && result != -EFAULT))
		finding("create with fault %ld gives error %ld, fault came: %d", nth, -result, fired);
	return fired;
}

/* Much of what fork(2) has to copy. */
static void be_large(void)
{
	int id = shmget(IPC_PRIVATE, 1 << 20, IPC_CREAT | 0600);
	timer_t timer;

	for (int i = 0; i < 300; i++)
		(void)!fcntl(0, F_DUPFD, i);
	for (int i = 0; i < 48; i++)
		mmap(NULL, 4096u << (i % 4), i % 2 ? PROT_READ : PROT_READ | PROT_WRITE,
		     (i % 5 ? MAP_PRIVATE : MAP_SHARED) | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	shmat(id, NULL, 0);
	shmctl(id, IPC_RMID, NULL);
	timer_create(CLOCK_MONOTONIC, &(struct sigevent){ .sigev_notify = SIGEV_NONE }, &timer);
	sigaltstack(&(stack_t){ .ss_sp = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
				.ss_size = 1 << 16 },
		    NULL);
}

/* A spare's begin is the template's; without one a copy of it begins, and a copy that fails is tried again. */
static int begun_right(const struct rfork_event *event, pid_t before, pid_t template)
{
	if (event->flags & RFORK_SPARE)
		return event->flags == RFORK_SPARE && event->new_pid == template;
	return !event->flags && event->new_pid != template && event->new_pid != before;
}

static int in_restart(long nth)
{
	struct rfork_event event;
	int rfd = -1, fired;
	long pid = create_waiting(&rfd);
	pid_t template = find_template();

	if (pid < 0 || !template) {
		finding("no template: create gives %ld", pid);
		return 0;
	}
	arm_other(template, nth);
	kill((pid_t)pid, SIGSEGV);
	expect_event("restart", nth, rfd, RFORK_EV_RESTART, &event);
	fired = fired_in_other(template);
	if (!begun_right(&event, (pid_t)pid, template))
		finding("restart with fault %ld: %d for %d, flags %u", nth, event.new_pid, template, event.flags);
	check_works("restart", nth, event.new_pid, rfd);
	return fired;
}

static void keep_spares(void)
{
	flags = 0;
}

/* The spare of the first restart makes another when that instance has begun; if it cannot, nobody is to notice. */
static int in_spare(long nth)
{
	long long end = now_ms() + EVENT_MS;
	struct rfork_event event;
	int rfd = -1, fired;
	long pid = create_waiting(&rfd);
	pid_t template = find_template(), spare;

	/* Ready when who has made it waits again. */
	while (((spare = find_second_template()) == 0 || !is_idle(template)) && now_ms() < end)
		nap_us(1000);
	if (pid < 0 || !spare) {
		finding("no spare: create gives %ld, template %d", pid, template);
		return 0;
	}
	arm_other(spare, nth);
	kill((pid_t)pid, SIGSEGV);
	expect_event("spare", nth, rfd, RFORK_EV_RESTART, &event);
	if (event.new_pid != template || event.flags != RFORK_SPARE)
		finding("spare with fault %ld: %d for %d, flags %u", nth, event.new_pid, template, event.flags);
	fired = await_fault(spare);
	check_works("spare", nth, template, rfd);
	return fired;
}

/* An instance's way through do_exit(), where nothing tells afterwards whether the fault came. */
static int in_exit(long nth)
{
	struct rfork_event event;
	int rfd = -1;
	long pid = create_waiting(&rfd);

	arm_other((pid_t)pid, nth);
	kill((pid_t)pid, SIGSEGV);
	expect_event("exit", nth, rfd, RFORK_EV_RESTART, &event);
	stop("exit", nth, rfd);
	return 0;
}

static int *told; /* by the instance */

static void share_a_page(void)
{
	told = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/* In the instance; it crashes after that, to come back from whichever image it has. */
static void checkpoint_and_crash(long nth)
{
	long result;

	own_faults();
	arm(nth);
	result = syscall(__NR_rfork, RFORK_CHECKPOINT, NULL, 0);
	if (result == 1)
		_exit(0);
	told[0] = result < 0 ? errno : 0;
	told[1] = disarm();
	kill(getpid(), SIGSEGV);
}

static int in_checkpoint(long nth)
{
	struct rfork_event event;
	struct rfork_args args;
	int rfd = -1;
	long pid;

	args = plain(&rfd);
	told[2] = 0;
	pid = syscall(__NR_rfork, RFORK_CREATE, &args, sizeof args);
	if (pid == 0) {
		if (told[2]++)
			_exit(0);
		checkpoint_and_crash(nth);
	}
	shared->calls += 2;
	shared->groups++;
	do
		event = next_event(rfd);
	while (event.type && event.type != RFORK_EV_END);
	if (event.reason != RFORK_END_EXIT || event.generation != 1)
		finding("checkpoint with fault %ld: ends with type %u, reason %u, generation %llu", nth, event.type,
			event.reason, (unsigned long long)event.generation);
	if (told[0] ? !told[1] || (told[0] != ENOMEM && told[0] != EAGAIN) : !(event.flags & RFORK_WARM))
		finding("checkpoint with fault %ld gives error %d, fault came: %d, flags %u", nth, told[0], told[1],
			event.flags);
	close(rfd);
	while (waitpid(-1, NULL, __WALL) > 0)
		;
	return told[1];
}

/* The commands that only copy; RESTART last, since its event is read then. */
static int in_control(long nth)
{
	struct rfork_info info;
	struct rfork_ctl ctl;
	struct rfork_event event;
	int rfd = -1, fired = 0;
	long pid = create_waiting(&rfd), result;

	info = (struct rfork_info){ .rfd = rfd };
	arm(nth);
	result = syscall(__NR_rfork, RFORK_INFO, &info, sizeof info);
	fired |= disarm();
	if (result < 0 && errno != EFAULT)
		finding("info with fault %ld: error %d", nth, errno);
	ctl = (struct rfork_ctl){ .rfd = rfd, .cause = RFORK_CAUSE_OPERATOR };
	arm(nth);
	result = syscall(__NR_rfork, RFORK_RESTART, &ctl, sizeof ctl);
	fired |= disarm();
	if (result < 0 && errno != EFAULT && errno != ENOMEM && errno != EAGAIN)
		finding("control with fault %ld: error %d", nth, errno);
	if (result < 0)
		kill((pid_t)pid, SIGSEGV);
	expect_event("control", nth, rfd, RFORK_EV_RESTART, &event);
	stop("control", nth, rfd);
	shared->calls += 2;
	return fired;
}

/* A record that cannot be copied out is not to be taken for read. What came before it may be. */
static int in_read(long nth)
{
	struct rfork_event event;
	int rfd = -1, fired;
	long pid = create_waiting(&rfd);
	ssize_t size;
	struct pollfd waiting = { .fd = rfd, .events = POLLIN };

	kill((pid_t)pid, SIGSEGV);
	poll(&waiting, 1, EVENT_MS);
	arm(nth);
	size = read(rfd, &event, sizeof event);
	fired = disarm();
	if (size < 0 ? errno != EFAULT : size != sizeof event)
		finding("read with fault %ld gives %zd, error %d", nth, size, errno);
	stop("read", nth, rfd);
	return fired;
}

/* Every allocation of the template fails: after five tries the instance runs without an image, until a checkpoint. */
static int without_copy(long nth)
{
	struct rfork_event event;
	int rfd = -1;
	long pid = create_waiting(&rfd);
	pid_t template = find_template();

	fail_all_of(template);
	kill((pid_t)pid, SIGSEGV);
	expect_event("restart without any copy", nth, rfd, RFORK_EV_RESTART, &event);
	fail_all_of(0);
	if (event.new_pid != template || event.flags != RFORK_NO_IMAGE)
		finding("restart without any copy: %d for %d, flags %u", event.new_pid, template, event.flags);
	kill(template, SIGSEGV);
	expect_event("restart without any copy", nth, rfd, RFORK_EV_END, &event);
	if (event.reason != RFORK_END_NO_IMAGE)
		finding("restart without any copy: ends with reason %u", event.reason);
	close(rfd);
	while (waitpid(-1, NULL, __WALL) > 0)
		;
	shared->faults += RFORK_TRIES;
	return 0;
}

const struct scenario scenarios[] = {
	{ "create", NULL, in_create, 1 },
	{ "create of a large process", be_large, in_create, 1 },
	{ "restart", NULL, in_restart, 1 },
	{ "restart of a large process", be_large, in_restart, 1 },
	{ "checkpoint", share_a_page, in_checkpoint, 1 },
	{ "exit", NULL, in_exit, 60 },
	{ "exit with a spare", keep_spares, in_exit, 60 },
	{ "spare", RFORK_SPARE ? keep_spares : NULL, RFORK_SPARE ? in_spare : in_restart, 1 },
	{ "control", NULL, in_control, 1 },
	{ "read", NULL, in_read, 1 },
	{ "restart without any copy", NULL, without_copy, 1 },
	{ 0 },
};
