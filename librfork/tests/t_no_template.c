/* SPDX-License-Identifier: MIT */
/* At the limit of tasks a restart still comes, says that there will be no other, and the next end is the group's; a
 * checkpoint with tasks to be had again brings the image back. At the user level there is an end without image at once. */
#include "system.h"

static volatile int *checkpoint;

static _Noreturn void instance(void)
{
	if (rfork_generation() == 0)
		abort();
	while (!*checkpoint)
		pause_ms(1);
	if (*checkpoint == 1)
		CHECK(rfork_checkpoint() >= 0);
	*checkpoint = 2;
	for (;;)
		pause();
}

/* Nobody reaps the old instance, so that it counts until the event is there. */
static void without_template(int recovers)
{
	struct rfork_options options = { .flags = NO_SPARE, .burst = RFORK_BURST_UNLIMITED };
	struct rfork_event event;
	struct rfork_info info;
	int rfd;
	pid_t pid = rfork_create(&options, &rfd);

	CHECK(pid >= 0);
	if (pid == 0)
		instance();
	event = next_event(rfd, RFORK_EV_RESTART);
	EQUAL(event.flags, RFORK_NO_IMAGE);
	if (recovers) {
		*checkpoint = 1;
		next_event(rfd, RFORK_EV_CHECKPOINT);
		EQUAL(rfork_query(rfd, &info), 0);
		EQUAL(info.flags & RFORK_NO_IMAGE, 0);
		EVENTUALLY(*checkpoint == 2);
		*checkpoint = 0;
	}
	CHECK(kill(event.new_pid, SIGSEGV) == 0);
	if (recovers) {
		EQUAL(next_event(rfd, RFORK_EV_RESTART).flags & RFORK_WARM, RFORK_WARM);
		stop_group(rfd);
	} else {
		expect_end(rfd, RFORK_END_NO_IMAGE);
	}
	close(rfd);
}

static void at_kernel_level(void)
{
	become_user(own_user());
	limit_tasks(3);
	for (int recovers = 0; recovers < 2; recovers++)
		without_template(recovers);
}

/* Another process of the user's, under no limit, which makes one more when it is told to, until the test is over. */
static pid_t start_other(int *tell)
{
	int ends[2];
	pid_t other, more;
	char byte;

	CHECK(pipe(ends) == 0);
	other = fork();
	CHECK(other >= 0);
	*tell = ends[1];
	if (other)
		return other;
	close(ends[1]);
	CHECK(read(ends[0], &byte, 1) == 1);
	more = fork();
	CHECK(more >= 0);
	while (more == 0)
		pause();
	*checkpoint = 1;
	CHECK(read(ends[0], &byte, 1) == 0);
	kill(more, SIGKILL);
	CHECK(waitpid(more, NULL, 0) == more);
	_exit(0);
}

static void at_user_level(void)
{
	struct rfork_options options = { .flags = NO_SPARE, .burst = RFORK_BURST_UNLIMITED };
	struct rfork_info info;
	pid_t other;
	int rfd, tell;

	become_user(own_user());
	other = start_other(&tell);
	limit_tasks(4);	/* us, the other, the monitor, and the instance, until it has been reaped */
	create_waiting(&options, &rfd);
	CHECK(write(tell, "", 1) == 1);
	EVENTUALLY(*checkpoint);
	EQUAL(rfork_query(rfd, &info), 0);
	CHECK(kill(info.pid, SIGSEGV) == 0);
	expect_end(rfd, RFORK_END_NO_IMAGE);
	close(tell);
	CHECK(waitpid(other, NULL, 0) == other);
	EQUAL(waitpid(-1, NULL, __WALL), -1);
}

int main(void)
{
	need_root("a user of its own");
	need_exact_tasks();
	checkpoint = shared(sizeof *checkpoint);
	apart(is_kernel_level() ? at_kernel_level : at_user_level);
	return 0;
}
