/* SPDX-License-Identifier: MIT */
/* Wrong use is refused with -errno, leaves errno alone and nothing behind. */
#include "testing.h"

static void refuse(struct rfork_options options)
{
	int rfd = -7;

	EQUAL(rfork_create(&options, &rfd), -EINVAL);
	EQUAL(rfd, -7);
}

int main(void)
{
	int descriptors = count_descriptors(), rfd;
	struct rfork_info info;
	struct rfork_event event;

	errno = 12345;
	refuse((struct rfork_options){ .flags = 32 });
	refuse((struct rfork_options){ .flags = 1u << 31 });
	refuse((struct rfork_options){ .flags = 1ull << 40 });
	refuse((struct rfork_options){ .restart_status = 256 });
	refuse((struct rfork_options){ .exit_signal = 65 });
	refuse((struct rfork_options){ .exit_signal = -2 });
	refuse((struct rfork_options){ .backend = 4 });
	/* more than one restart in a nanosecond */
	refuse((struct rfork_options){ .burst = 1000001, .window_ms = 1 });
	refuse((struct rfork_options){ .burst = RFORK_BURST_UNLIMITED - 1, .window_ms = 4000 });
	EQUAL(rfork_next_event(999, &event), -EBADF);
	EQUAL(rfork_stop(999, 0), -EBADF);
	EQUAL(rfork_query(999, &info), -EBADF);
	EQUAL(rfork_query(-2, &info), -EBADF);
	EQUAL(rfork_query(-1, &info), -ESRCH);
	EQUAL(rfork_checkpoint(), -ESRCH);
	EQUAL(errno, 12345);
	EQUAL(count_descriptors(), descriptors);
	EQUAL(waitpid(-1, NULL, __WALL), -1);
	create_waiting(NULL, &rfd);
	EQUAL(rfork_kick(rfd, 0, RFORK_CAUSE_ERROR), -EINVAL);
	EQUAL(rfork_kick(rfd, 65, RFORK_CAUSE_OPERATOR), -EINVAL);
	EQUAL(rfork_stop(rfd, -1), -EINVAL);
	EQUAL(rfork_stop(STDERR_FILENO, 0), -EINVAL);
	EQUAL(fcntl(rfd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	CHECK(fcntl(rfd, F_SETFL, O_NONBLOCK) == 0);
	EQUAL(rfork_next_event(rfd, &event), -EAGAIN);
	EQUAL(rfork_query(rfd, &info), 0);
	CHECK(info.pid > 0 && info.pid != getpid() && info.start_ns > 0);
	EQUAL(info.generation, 0);
	EQUAL(rfork_stop(rfd, SIGKILL), 0);
	CHECK(fcntl(rfd, F_SETFL, 0) == 0);
	expect_end(rfd, RFORK_END_STOP);
	return 0;
}
