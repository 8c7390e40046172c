/* SPDX-License-Identifier: MIT */
/* A private mapping of a file that was not written to before the restart point shows what the file says when the next instance
 * reads it, with a spare as without. */
#include "system.h"

#define PAGE 4096

static char *mapped;

static void write_page(int fd, char byte)
{
	char page[PAGE];

	memset(page, byte, PAGE);
	EQUAL(pwrite(fd, page, PAGE, 0), PAGE);
}

/* When the next instance is to be prepared, the page of this one is a copy of its own. */
static void run(uint64_t flags, int fd)
{
	struct rfork_options options = { .flags = flags, .burst = RFORK_BURST_UNLIMITED };
	volatile int *written = shared(sizeof *written);
	struct rfork_event event;
	int rfd;
	pid_t pid;

	write_page(fd, 'A');
	mapped = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(mapped != MAP_FAILED);
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0) {
		if (rfork_generation() == 1) {
			EQUAL(mapped[0], 'B');
			EQUAL(mapped[100], 'B');
			_exit(0);
		}
		mapped[100] = 'x';
		*written = 1;
		for (;;)
			pause();
	}
	EVENTUALLY(*written);
	/* No event says that the spare is ready. */
	if (!(flags & NO_SPARE))
		pause_ms(300);
	write_page(fd, 'B');
	EQUAL(rfork_kick(rfd, SIGKILL, RFORK_CAUSE_OPERATOR), 0);
	next_event(rfd, RFORK_EV_RESTART);
	event = expect_end(rfd, RFORK_END_EXIT);
	EQUAL(event.status, 0);
	CHECK(munmap(mapped, PAGE) == 0);
}

int main(void)
{
	int fd = open("data", O_RDWR | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0);
	run(0, fd);
	run(NO_SPARE, fd);
	return 0;
}
