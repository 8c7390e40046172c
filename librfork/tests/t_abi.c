/* SPDX-License-Identifier: MIT */
/* The system call itself: EINVAL for what it does not know, EFAULT for bad pointers, E2BIG for a longer structure with more
 * in it, and a longer one without is welcome. A kernel without it answers ENOSYS to everything. */
#include "system.h"

static char page[8192];

static int call(unsigned int cmd, const void *arg, size_t size)
{
	return syscall(__NR_rfork, cmd, arg, size) < 0 ? -errno : 0;
}

static void *unmapped(void)
{
	void *address = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(address != MAP_FAILED && munmap(address, 8192) == 0);
	return address;
}

static void without_it(void)
{
	for (unsigned int cmd = 0; cmd < 6; cmd++) {
		EQUAL(call(cmd, NULL, 0), -ENOSYS);
		EQUAL(call(cmd, page, 64), -ENOSYS);
		EQUAL(call(cmd, unmapped(), 64), -ENOSYS);
	}
}

static void refused(struct rfork_args args)
{
	EQUAL(call(RFORK_CREATE, &args, sizeof args), -EINVAL);
}

static void create(void)
{
	struct rfork_args args = { .exit_signal = SIGCHLD };

	for (int bit = 0; bit < 64; bit++)
		if (!(1ull << bit & (RFORK_ON_SIGNAL | RFORK_ON_STATUS | RFORK_OUTLIVE | NO_SPARE | RFORK_NO_CHECKPOINT)))
			refused((struct rfork_args){ .flags = 1ull << bit });
	refused((struct rfork_args){ .exit_signal = 65 });
	refused((struct rfork_args){ .exit_signal = 1u << 31 });
	refused((struct rfork_args){ .restart_status = 256 });
	refused((struct rfork_args){ .burst = 1000001, .window_ms = 1 });
	refused((struct rfork_args){ .reserved = 1 });
	for (size_t size = 0; size < RFORK_ARGS_SIZE_VER0; size++)
		EQUAL(call(RFORK_CREATE, &args, size), -EINVAL);
	EQUAL(call(RFORK_CREATE, unmapped(), sizeof args), -EFAULT);
	EQUAL(call(RFORK_CREATE, NULL, sizeof args), -EFAULT);
	args.rfd = (uintptr_t)unmapped();
	EQUAL(call(RFORK_CREATE, &args, sizeof args), -EFAULT);
	args.rfd = ~0ull - 4;
	EQUAL(call(RFORK_CREATE, &args, sizeof args), -EFAULT);
}

/* Every structure, with a tail that is not 0, one that is not there, and one that is 0. */
static void sizes(unsigned int cmd, const void *arg, size_t size, int answer)
{
	memset(page, 0, sizeof page);
	memcpy(page, arg, size);
	EQUAL(call(cmd, page, size - 1), -EINVAL);
	EQUAL(call(cmd, page, 256), answer);
	EQUAL(call(cmd, page, 4096), answer);
	page[255] = 1;
	EQUAL(call(cmd, page, 256), -E2BIG);
	page[255] = 0;
	page[size] = 1;
	EQUAL(call(cmd, page, size + 1), -E2BIG);
	EQUAL(call(cmd, unmapped(), size), -EFAULT);
}

static void others(void)
{
	struct rfork_info info = { .rfd = -1 };
	struct rfork_ctl ctl = { .rfd = STDERR_FILENO }, restart = { .rfd = -1, .cause = RFORK_CAUSE_OPERATOR };

	EQUAL(call(5, NULL, 0), -EINVAL);
	EQUAL(call(~0u, page, 64), -EINVAL);
	EQUAL(call(RFORK_CHECKPOINT, page, 0), -EINVAL);
	EQUAL(call(RFORK_CHECKPOINT, NULL, 8), -EINVAL);
	EQUAL(call(RFORK_CHECKPOINT, NULL, 0), -ESRCH);
	sizes(RFORK_INFO, &info, sizeof info, -ESRCH);
	sizes(RFORK_STOP, &ctl, sizeof ctl, -EINVAL);
	sizes(RFORK_RESTART, &restart, sizeof restart, -ESRCH);
	EQUAL(call(RFORK_STOP, &(struct rfork_ctl){ .rfd = 999 }, sizeof ctl), -EBADF);
	EQUAL(call(RFORK_STOP, &(struct rfork_ctl){ .rfd = -1, .signal = 65 }, sizeof ctl), -EINVAL);
	EQUAL(call(RFORK_STOP, &(struct rfork_ctl){ .rfd = -1, .cause = RFORK_CAUSE_OPERATOR }, sizeof ctl), -EINVAL);
	EQUAL(call(RFORK_STOP, &(struct rfork_ctl){ .rfd = -1, .reserved = 1 }, sizeof ctl), -EINVAL);
	EQUAL(call(RFORK_RESTART, &(struct rfork_ctl){ .rfd = -1 }, sizeof ctl), -EINVAL);
	EQUAL(call(RFORK_RESTART, &(struct rfork_ctl){ .rfd = -1, .cause = RFORK_CAUSE_EXIT }, sizeof ctl), -EINVAL);
}

/* A longer structure whose tail is 0 makes a group as the known one does. */
static void longer(void)
{
	__s32 rfd = -1;
	struct rfork_args args = { .rfd = (uintptr_t)&rfd, .exit_signal = SIGCHLD };
	char event[sizeof(struct rfork_event)];
	long pid;

	memset(page, 0, sizeof page);
	memcpy(page, &args, sizeof args);
	pid = syscall(__NR_rfork, RFORK_CREATE, page, 512);
	CHECK(pid >= 0);
	if (pid == 0)
		_exit(0);
	EQUAL(read(rfd, event, sizeof event - 1), -1);
	EQUAL(errno, EINVAL);
	EQUAL(fcntl(rfd, F_GETFD), FD_CLOEXEC);
	EQUAL(expect_end(rfd, RFORK_END_EXIT).status, 0);
	close(rfd);
}

int main(void)
{
	int descriptors = count_descriptors();

	if (call(RFORK_CREATE, NULL, 0) == -ENOSYS) {
		without_it();
		return 0;
	}
	create();
	others();
	longer();
	EQUAL(count_descriptors(), descriptors);
	EQUAL(waitpid(-1, NULL, __WALL), -1);
	return 0;
}
