/* SPDX-License-Identifier: MIT */
/* A checkpoint is refused with ENOLCK while the process has an fcntl(2) record lock: the next instance would not have it. The
 * file is named, by rfork_problem() and on standard error. Locks of the open file, flock(2) and OFD, are no hindrance; rfork_shared() lists them. */
#include "testing.h"
#include <sys/file.h>
#include <sys/utsname.h>

static char named[32] = "/locked (descriptor";

static int set_lock(int fd, int command, short type)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = 10, .l_len = 5 };

	return fcntl(fd, command, &lock);
}

static int is_before(int major, int minor)
{
	struct utsname system;
	int first = 0, second = 0;

	CHECK(uname(&system) == 0 && sscanf(system.release, "%d.%d", &first, &second) == 2);
	return first < major || (first == major && second < minor);
}

/* By somebody else's eyes. */
static int is_locked(const char *path)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		int fd = open(path, O_RDWR);

		CHECK(fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0);
		_exit(lock.l_type == F_UNLCK ? 7 : 8);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status) == 8;
}

/* What plain rfork_checkpoint() writes to standard error, for programs that do not look at its result. */
static void check_message(void)
{
	char text[1024];
	int ends[2], before = dup(STDERR_FILENO);
	ssize_t got;

	CHECK(pipe(ends) == 0 && dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
	close(ends[1]);
	EQUAL(rfork_checkpoint(), -ENOLCK);
	CHECK(dup2(before, STDERR_FILENO) == STDERR_FILENO);
	close(before);
	got = read(ends[0], text, sizeof text - 1);
	close(ends[0]);
	CHECK(got > 0);
	text[got] = '\0';
	CHECK(strstr(text, named));
	CHECK(strstr(text, "after the checkpoint"));
}

static void refused(int file, short type)
{
	CHECK(set_lock(file, F_SETLK, type) == 0);
	EQUAL(rfork_checkpoint_with(0), -ENOLCK);
	CHECK(strstr(rfork_problem(), named));
	check_message();
	CHECK(is_locked("locked"));
	CHECK(set_lock(file, F_SETLK, F_UNLCK) == 0);
}

static _Noreturn void instance(void)
{
	int file = open("locked", O_RDWR | O_CREAT, 0600), other = open("other", O_RDWR | O_CREAT, 0600);
	int64_t generation;
	char shared[32];

	CHECK(file >= 0 && other >= 0);
	CHECK(flock(other, LOCK_EX) == 0);
#ifdef F_OFD_SETLK
	CHECK(set_lock(other, F_OFD_SETLK, F_WRLCK) == 0 || errno == EINVAL);
#endif
	if (!can(RFORK_CAN_LIST_SHARED))
		snprintf(named, sizeof named, "descriptor %d ", file);
	refused(file, F_RDLCK);
	refused(file, F_WRLCK);
	EQUAL(rfork_checkpoint_with(1ull << 40), -EINVAL);
	CHECK(set_lock(file, F_SETLK, F_WRLCK) == 0);
	generation = rfork_checkpoint_with(RFORK_KEEP_LOCKS);
	EQUAL(is_locked("locked"), generation == 0);
	if (generation == 0)
		rfork_restart();
	EQUAL(generation, 1);
	EQUAL(rfork_checkpoint(), 0);
	CHECK(!*rfork_problem());
	snprintf(shared, sizeof shared, "flock %d", other);
	CHECK(is_before(4, 1) || !can(RFORK_CAN_LIST_SHARED) || !strcmp(rfork_shared(), shared));
	_exit(0);
}

int main(void)
{
	int rfd;
	pid_t pid;

	if (access("/proc/self/fd", F_OK) < 0)
		SKIP("no /proc here");
	close_inherited();
	pid = rfork_create(NULL, &rfd);
	CHECK(pid >= 0);
	if (pid == 0)
		instance();
	next_event(rfd, RFORK_EV_CHECKPOINT);
	next_event(rfd, RFORK_EV_RESTART);
	next_event(rfd, RFORK_EV_CHECKPOINT);
	EQUAL(expect_end(rfd, RFORK_END_EXIT).status, 0);
	return 0;
}
