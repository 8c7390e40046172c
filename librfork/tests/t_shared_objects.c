/* SPDX-License-Identifier: MIT */
/* A checkpoint lists the epoll sets, timerfds and signalfds that all instances will share, by rfork_shared() and, once for
 * each list, on standard error. */
#include "testing.h"
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

static char wanted[128];

static void expect(const char *kind, int fd)
{
	size_t length = strlen(wanted);

	if (fd >= 0)
		snprintf(wanted + length, sizeof wanted - length, "%s%s %d", length ? ", " : "", kind, fd);
}

/* How often the warning is there after a checkpoint. */
static int warnings(void)
{
	char text[1024];
	int ends[2], before = dup(STDERR_FILENO);
	ssize_t got;

	/* The image of a checkpoint keeps the other end open. */
	CHECK(pipe(ends) == 0 && fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0 && dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
	close(ends[1]);
	EQUAL(rfork_checkpoint(), 0);
	CHECK(dup2(before, STDERR_FILENO) == STDERR_FILENO);
	close(before);
	got = read(ends[0], text, sizeof text - 1);
	close(ends[0]);
	CHECK(got > 0 || errno == EAGAIN);
	text[got > 0 ? got : 0] = '\0';
	return strstr(text, wanted) != NULL;
}

static _Noreturn void instance(void)
{
	sigset_t mask;
	int set;

	EQUAL(rfork_checkpoint(), 0);
	CHECK(!*rfork_shared());
	set = epoll_create(1);
	CHECK(set >= 0);
	expect("epoll", set);
	expect("timerfd", timerfd_create(CLOCK_MONOTONIC, 0));
	sigemptyset(&mask);
	expect("signalfd", signalfd(-1, &mask, 0));
	EQUAL(warnings(), 1);
	CHECK(!strcmp(rfork_shared(), wanted));
	EQUAL(warnings(), 0);
	close(set);
	EQUAL(rfork_checkpoint(), 0);
	CHECK(!strstr(rfork_shared(), "epoll"));
	_exit(0);
}

int main(void)
{
	int rfd;
	pid_t pid;

	need(RFORK_CAN_LIST_SHARED, "POSIX does not report what a descriptor refers to");
	if (access("/proc/self/fd", F_OK) < 0)
		SKIP("no /proc here");
	close_inherited();
	pid = rfork_create(NULL, &rfd);
	CHECK(pid >= 0);
	if (pid == 0)
		instance();
	for (int i = 0; i < 4; i++)
		next_event(rfd, RFORK_EV_CHECKPOINT);
	EQUAL(expect_end(rfd, RFORK_END_EXIT).status, 0);
	return 0;
}
