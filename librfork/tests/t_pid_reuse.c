/* SPDX-License-Identifier: MIT */
/* Instances that get a PID that was in use before: a checkpoint returns 0 once, whatever the PIDs are, and restores what the C
 * library knows of the thread; a descendant that has the PID of a dead instance is no instance; a child that has the PID
 * of what a group has ended is not waited for. */
#include "system.h"

#define MOST 400
#define LAST "/proc/sys/kernel/ns_last_pid"
#define LARGEST "/proc/sys/kernel/pid_max"

struct board {
	pid_t first;		/* took the checkpoint */
	int again;		/* instances with its PID */
	int orphan_was_there, orphan_generation;
};

static volatile struct board *board;

/* Make the kernel give this PID next, as far as it is free. */
static int aim_at(pid_t pid)
{
	char text[16];

	snprintf(text, sizeof text, "%d", pid - 1);
	return write_text(LAST, text);
}

static void check_robust_list(void)
{
	void *head = NULL;
	size_t length = 0;

	CHECK(syscall(SYS_get_robust_list, 0, &head, &length) == 0);
#ifdef __GLIBC__
	CHECK(head);
#endif
}

static _Noreturn void instance(void)
{
	int64_t generation = rfork_checkpoint();

	EQUAL(generation, rfork_generation());
	check_robust_list();
	if (generation == 0)
		board->first = getpid();
	else
		board->again += getpid() == board->first;
	/* The one that waits ahead has its PID already: aim for the one after the next. */
	if (generation % 3 == 0)
		aim_at(board->first);
	if (board->again == 3 || generation == MOST)
		_exit(0);
	rfork_restart();
}

static void checkpoints(void)
{
	struct rfork_options options = options_for_many();
	struct rfork_event event = { 0 };
	int rfd;
	pid_t pid = rfork_create(&options, &rfd);

	CHECK(pid >= 0);
	if (pid == 0)
		instance();
	while (event.type != RFORK_EV_END)
		EQUAL(rfork_next_event(rfd, &event), 1);
	EQUAL(event.status, 0);
	EQUAL(event.reason, RFORK_END_EXIT);
	if (!board->again)
		SKIP("no PID was used again in so many restarts");
}

/* Its parent's PID is free: one of its own children gets that. */
static _Noreturn void orphan(pid_t parent)
{
	for (int i = 0; i < 200 && !board->orphan_was_there; i++) {
		pid_t pid;

		aim_at(parent);
		pid = fork();
		CHECK(pid >= 0);
		if (pid == 0) {
			if (getpid() == parent) {
				board->orphan_generation = (int)rfork_generation();
				board->orphan_was_there = 1;
			}
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
	_exit(0);
}

static _Noreturn void parent_of_orphan(void)
{
	pid_t self = getpid();
	long begun = now_ms();
	int ends[2];
	char byte;

	if (rfork_generation() > 0) {
		EVENTUALLY(board->orphan_was_there);
		_exit(0);
	}
	CHECK(pipe(ends) == 0);
	if (fork() == 0) {
		close(ends[1]);
		CHECK(read(ends[0], &byte, 1) == 0);
		EVENTUALLY(no_such_process(self));
		/* The kernel notes when a process began in ticks of a clock. */
		EVENTUALLY(now_ms() > begun + 50);
		orphan(self);
	}
	rfork_restart();
}

/* It sleeps. 0: the PID is not free. */
static pid_t child_with(pid_t wanted)
{
	for (int i = 0; i < 200; i++) {
		pid_t pid;

		aim_at(wanted);
		pid = fork();
		CHECK(pid >= 0);
		while (pid == 0)
			pause();
		if (pid == wanted)
			return pid;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return 0;
}

static void other_children(void)
{
	int rfd;
	pid_t pid = rfork_create(NULL, &rfd), child;
	long ended;

	CHECK(pid >= 0);
	if (pid == 0)
		_exit(0);
	EQUAL(waitpid(pid, NULL, __WALL), pid);
	ended = now_ms();
	EVENTUALLY(now_ms() > ended + 50);
	child = child_with(pid);
	if (!child)
		SKIP("the PID was not free again");
	expect_end(rfd, RFORK_END_EXIT);
	EQUAL(waitpid(child, NULL, WNOHANG), 0);
	kill(child, SIGKILL);
	EQUAL(waitpid(child, NULL, 0), child);
}

/* Without a way to choose the next PID there must be few of them. */
static void with_few_pids(void)
{
	char before[16];

	if (!getenv("RFORK_TESTS_MACHINE"))
		SKIP("this kernel has no " LAST ", and few PIDs concern the whole machine: done in guests only");
	snprintf(before, sizeof before, "%ld", atol(read_text(LARGEST)));
	EQUAL(write_text(LARGEST, "330"), 0);
	checkpoints();
	EQUAL(write_text(LARGEST, before), 0);
	_exit(0);
}

int main(void)
{
	need(RFORK_CAN_TELL_PIDS_APART, "POSIX does not report when a process began");
	board = shared(sizeof *board);
	need_root("choosing the next PID");
	if (access(LAST, W_OK) < 0)
		with_few_pids();
	checkpoints();
	run_to_exit(parent_of_orphan, 1);
	EQUAL(board->orphan_generation, -ESRCH);
	other_children();
	return 0;
}
