/* SPDX-License-Identifier: MIT */
/* A checkpoint with an fcntl(2) record lock is refused where there is no /proc, too, also behind another process's lock. */
#include "testing.h"
#include <sched.h>
#include <sys/mount.h>

static void set_lock(int fd, short type, off_t start)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = 5 };

	CHECK(fcntl(fd, F_SETLK, &lock) == 0);
}

/* Has a lock of its own until a byte comes, or nobody is left to send one. */
static pid_t start_other(int *end)
{
	int told[2], keep[2];
	char byte;
	pid_t pid;

	CHECK(pipe(told) == 0 && pipe(keep) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		close(keep[1]);
		set_lock(open("locked", O_RDWR | O_CREAT, 0600), F_WRLCK, 0);
		CHECK(write(told[1], "", 1) == 1);
		_exit(read(keep[0], &byte, 1) != 1);
	}
	close(keep[0]);
	close(told[1]);
	CHECK(read(told[0], &byte, 1) == 1);
	close(told[0]);
	*end = keep[1];
	return pid;
}

static _Noreturn void instance(void)
{
	int file = open("locked", O_RDWR | O_CREAT, 0600), end;
	pid_t other = start_other(&end);
	char name[32];

	CHECK(file >= 0);
	set_lock(file, F_RDLCK, 100);
	EQUAL(rfork_checkpoint_with(0), -ENOLCK);
	snprintf(name, sizeof name, "descriptor %d ", file);
	CHECK(strstr(rfork_problem(), name));
	set_lock(file, F_UNLCK, 100);
	EQUAL(rfork_checkpoint_with(0), 0);	/* another process's lock is no hindrance */
	CHECK(write(end, "", 1) == 1);
	EQUAL(waitpid(other, NULL, 0), other);
	_exit(0);
}

int main(void)
{
	int rfd;
	pid_t pid;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/proc", "tmpfs", 0, NULL) < 0)
		SKIP("needs a mount namespace of its own, and a /proc to hide");
	pid = rfork_create(NULL, &rfd);
	CHECK(pid >= 0);
	if (pid == 0)
		instance();
	next_event(rfd, RFORK_EV_CHECKPOINT);
	EQUAL(expect_end(rfd, RFORK_END_EXIT).status, 0);
	return 0;
}
