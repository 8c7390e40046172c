/* SPDX-License-Identifier: MIT */
/* A file that an instance opened and mapped after its restart point is closed soon after its restart: the writer's close is
 * reported, the memory is free, the file can be executed. When the group's end is reported it has been closed already. */
#include "system.h"
#include <sched.h>
#include <sys/inotify.h>
#include <sys/mount.h>

#define SIZE 65536
#define RESTARTS 5

static volatile int *started;

/* Only the mapping is left of the open file. */
static void map_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0700);
	char *memory;

	CHECK(fd >= 0);
	CHECK(ftruncate(fd, SIZE) == 0);
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(memory != MAP_FAILED);
	memset(memory, 1, SIZE);
	close(fd);
}

static int close_was_reported(int queue)
{
	char buffer[sizeof(struct inotify_event) + 256];

	return read(queue, buffer, sizeof buffer) > 0;
}

/* The spare is the youngest of them: it waits next, with the memory to be freed. */
static void give_spare_realtime_policy(void)
{
	struct sched_param param = { .sched_priority = 1 };

	EVENTUALLY(count_templates() == 2);
	/* musl has only a stub */
	CHECK(syscall(SYS_sched_setscheduler, find_template(), SCHED_FIFO, &param) == 0);
}

static void closed_after_restart(uint64_t flags, int realtime)
{
	struct rfork_options options = { .flags = flags, .burst = RFORK_BURST_UNLIMITED };
	int rfd, queue = inotify_init();
	pid_t pid;

	CHECK(queue >= 0 && fcntl(queue, F_SETFL, O_NONBLOCK) == 0);
	CHECK(inotify_add_watch(queue, ".", IN_CLOSE_WRITE) >= 0);
	*started = 0;
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0) {
		map_file("program");
		(*started)++;
		for (;;)
			pause();
	}
	for (int i = 0; i < RESTARTS; i++) {
		EVENTUALLY(*started == i + 1);
		EQUAL(close_was_reported(queue), 0);
		if (realtime && i == 0)
			give_spare_realtime_policy();
		EQUAL(rfork_kick(rfd, SIGKILL, RFORK_CAUSE_OPERATOR), 0);
		next_event(rfd, RFORK_EV_RESTART);
		EVENTUALLY(close_was_reported(queue));
	}
	stop_group(rfd);
	close(rfd);
	close(queue);
}

/* The last instance ends by itself, by a crash, or by a stop. */
static void closed_at_end(uint64_t flags, int how)
{
	struct rfork_options options = { .flags = flags, .burst = 1, .window_ms = 3600000 };
	struct rfork_event event = { 0 };
	int rfd;
	pid_t pid;

	CHECK(mount("none", "mounted", "tmpfs", 0, NULL) == 0);
	*started = 0;
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0) {
		map_file("mounted/file");
		(*started)++;
		if (how == 0)
			_exit(0);
		if (how == 1)
			abort();
		for (;;)
			pause();
	}
	if (how == 2) {
		EVENTUALLY(*started);
		EQUAL(rfork_stop(rfd, SIGKILL), 0);
	}
	while (event.type != RFORK_EV_END)
		EQUAL(rfork_next_event(rfd, &event), 1);
	CHECK(umount("mounted") == 0);
	close(rfd);
}

int main(void)
{
	started = shared(sizeof *started);
	closed_after_restart(0, 0);
	closed_after_restart(NO_SPARE, 0);
	if (is_kernel_level() && geteuid() == 0)
		closed_after_restart(0, 1);
	if (geteuid() != 0 || !getenv("RFORK_TESTS_MACHINE"))
		return 0; /* no file systems of our own */
	CHECK(mkdir("mounted", 0700) == 0);
	for (int i = 0; i < few_or_all(6, 60); i++) {
		closed_at_end(NO_SPARE, i % 3);
		closed_at_end(0, i % 3);
	}
	return 0;
}
