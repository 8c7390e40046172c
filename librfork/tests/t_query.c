/* SPDX-License-Identifier: MIT */
/* Parent and instance read the same generation, cause, status and times. */
#include "testing.h"

int main(void)
{
	struct rfork_options options = options_for_many();
	struct rfork_info *own = shared(sizeof *own), info;
	struct rfork_event event;
	int rfd;
	pid_t pid = rfork_create(&options, &rfd);

	CHECK(pid >= 0);
	if (pid == 0) {
		if (rfork_generation() < 2)
			abort();
		CHECK(rfork_query(-1, own) == 0);
		CHECK(own->pid == getpid());
		atomic_thread_fence(memory_order_seq_cst);
		*(volatile __s32 *)&own->rfd = 1;
		for (;;)
			pause();
	}
	next_event(rfd, RFORK_EV_RESTART);
	event = next_event(rfd, RFORK_EV_RESTART);
	EVENTUALLY(*(volatile __s32 *)&own->rfd == 1);
	EQUAL(rfork_query(rfd, &info), 0);
	EQUAL(info.pid, own->pid);
	EQUAL(info.pid, event.new_pid);
	EQUAL(info.generation, 2);
	EQUAL(own->generation, 2);
	EQUAL(info.cause, RFORK_CAUSE_ERROR);
	EQUAL(own->cause, RFORK_CAUSE_ERROR);
	EQUAL(WTERMSIG(info.status), SIGABRT);
	EQUAL(own->status, info.status);
	EQUAL(own->fail_ns, info.fail_ns);
	EQUAL(event.fail_ns, info.fail_ns);
	EQUAL(own->start_ns, info.start_ns);
	EQUAL(event.start_ns, info.start_ns);
	stop_group(rfd);
	return 0;
}
