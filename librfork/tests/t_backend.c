/* SPDX-License-Identifier: MIT */
/* The backend is the kernel's where there is one, else Linux's user level, else the portable one. The environment decides
 * otherwise, and one that is insisted on is not replaced. The Linux user level also has an older name. */
#include "testing.h"

static pid_t run(enum rfork_backend backend, int *status)
{
	struct rfork_options options = { .backend = backend };
	struct rfork_event event;
	int rfd;
	pid_t pid = rfork_create(&options, &rfd);

	if (pid == 0)
		_exit(10 + (int)rfork_backend());
	if (pid < 0)
		return pid;
	event = expect_end(rfd, RFORK_END_EXIT);
	*status = WEXITSTATUS(event.status) - 10;
	close(rfd);
	return pid;
}

static void by_name(const char *name, enum rfork_backend backend)
{
	int status;

	setenv("RFORK_BACKEND", name, 1);
	EQUAL(rfork_backend(), backend);
	CHECK(run(RFORK_BACKEND_AUTO, &status) > 0);
	EQUAL(status, backend);
	unsetenv("RFORK_BACKEND");
	CHECK(run(backend, &status) > 0);
	EQUAL(status, backend);
}

int main(void)
{
	struct rfork_info info = { .rfd = -1 };
	enum rfork_backend best;
	int has_kernel, status;

	has_kernel = syscall(__NR_rfork, RFORK_INFO, &info, sizeof info) == 0 || errno != ENOSYS;
	unsetenv("RFORK_BACKEND");
	best = rfork_backend();
	EQUAL(best == RFORK_BACKEND_KERNEL, has_kernel);
	CHECK(run(RFORK_BACKEND_AUTO, &status) > 0);
	EQUAL(status, best);
	by_name("posix", RFORK_BACKEND_POSIX);
	if (best != RFORK_BACKEND_POSIX) {
		by_name("linux", RFORK_BACKEND_LINUX);
		by_name("user", RFORK_BACKEND_USER);
	}
	if (has_kernel)
		by_name("kernel", RFORK_BACKEND_KERNEL);
	else
		EQUAL(run(RFORK_BACKEND_KERNEL, &status), -ENOSYS);
	return 0;
}
