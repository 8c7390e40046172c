/* SPDX-License-Identifier: MIT */
/* The backend is the kernel's where there is one and the user level otherwise; the
 * environment decides otherwise, and one that is insisted on is not replaced. */
#include "testing.h"

static pid_t run(enum rfork_backend backend, int *status)
{
	struct rfork_options options = { .backend = backend };
	struct rfork_event event;
	int rfd;
	pid_t pid = rfork_create(&options, &rfd);

	if (pid == 0)
		_exit((int)rfork_backend() == RFORK_BACKEND_KERNEL ? 3 : 4);
	if (pid < 0)
		return pid;
	event = expect_end(rfd, RFORK_END_EXIT);
	*status = WEXITSTATUS(event.status);
	close(rfd);
	return pid;
}

int main(void)
{
	struct rfork_info info = { .rfd = -1 };
	int has_kernel, status;

	has_kernel = syscall(__NR_rfork, RFORK_INFO, &info, sizeof info) == 0 || errno != ENOSYS;
	unsetenv("RFORK_BACKEND");
	EQUAL(rfork_backend(), has_kernel ? RFORK_BACKEND_KERNEL : RFORK_BACKEND_USER);
	CHECK(run(RFORK_BACKEND_AUTO, &status) > 0);
	EQUAL(status, has_kernel ? 3 : 4);
	CHECK(run(RFORK_BACKEND_USER, &status) > 0);
	EQUAL(status, 4);
	setenv("RFORK_BACKEND", "user", 1);
	EQUAL(rfork_backend(), RFORK_BACKEND_USER);
	CHECK(run(RFORK_BACKEND_AUTO, &status) > 0);
	EQUAL(status, 4);
	if (has_kernel) {
		CHECK(run(RFORK_BACKEND_KERNEL, &status) > 0);
		EQUAL(status, 3);
	} else {
		EQUAL(run(RFORK_BACKEND_KERNEL, &status), -ENOSYS);
	}
	return 0;
}
