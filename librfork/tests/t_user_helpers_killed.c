/* SPDX-License-Identifier: MIT */
/* At the user level: without its image's holder an instance comes back cold; without
 * its monitor it goes, and the parent is told. */
#include "testing.h"

static pid_t other_child(pid_t parent, pid_t but)
{
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	pid_t found = 0;

	CHECK(proc);
	while ((entry = readdir(proc))) {
		char path[300], text[512], *field;
		ssize_t got;
		int fd;

		snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
		fd = open(path, O_RDONLY);
		got = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
		close(fd);
		text[got > 0 ? got : 0] = '\0';
		field = strrchr(text, ')');
		if (field && atoi(field + 3) == parent && atoi(entry->d_name) != but)
			found = atoi(entry->d_name);
	}
	closedir(proc);
	return found;
}

int main(void)
{
	struct rfork_options options = { .flags = RFORK_NO_SPARE, .burst = RFORK_BURST_UNLIMITED,
					 .backend = RFORK_BACKEND_USER };
	struct rfork_event event;
	int rfd, *begun = shared(sizeof *begun);
	pid_t monitor, holder;

	need(RFORK_CAN_END_TOGETHER, "POSIX does not end a process with its parent");
	if (rfork_backend() == RFORK_BACKEND_KERNEL)
		SKIP("the kernel has neither holder nor monitor");
	monitor = rfork_create(&options, &rfd);
	CHECK(monitor >= 0);
	if (monitor == 0) {
		(*begun)++;
		CHECK(rfork_checkpoint() >= 0);
		for (;;)
			pause();
	}
	event = next_event(rfd, RFORK_EV_CHECKPOINT);
	CHECK(kill(event.old_pid, SIGSEGV) == 0);
	event = next_event(rfd, RFORK_EV_RESTART);
	EQUAL(event.flags, RFORK_WARM);
	holder = other_child(monitor, event.new_pid);
	CHECK(holder > 0);
	CHECK(kill(holder, SIGKILL) == 0);
	EVENTUALLY(no_such_process(holder));
	CHECK(kill(event.new_pid, SIGSEGV) == 0);
	event = next_event(rfd, RFORK_EV_RESTART);
	EQUAL(event.flags, 0);
	EQUAL(event.cause, RFORK_CAUSE_ERROR);
	event.old_pid = event.new_pid;
	next_event(rfd, RFORK_EV_CHECKPOINT);
	EQUAL(*begun, 2);
	CHECK(kill(monitor, SIGKILL) == 0);
	EQUAL(expect_end(rfd, RFORK_END_NO_IMAGE).status, SIGKILL);
	EVENTUALLY(no_such_process(event.old_pid));
	EQUAL(rfork_next_event(rfd, &event), 0);
	EQUAL(waitpid(-1, NULL, __WALL), -1);
	return 0;
}
