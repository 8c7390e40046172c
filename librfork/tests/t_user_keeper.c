/* SPDX-License-Identifier: MIT */
/*
 * What keeps an instance's memory at the user level can be written to by that instance, and may have more rights than it:
 * so seccomp leaves it next to nothing to do, and it has a pipe of its own and no other descriptor.
 */
#include "system.h"
#include <sys/prctl.h>

#define KEEPERS 4

/* The monitor's children of that name. */
static int find_keepers(pid_t monitor, pid_t found[KEEPERS])
{
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	int count = 0;

	CHECK(proc);
	while (count < KEEPERS && (entry = readdir(proc))) {
		pid_t pid = atoi(entry->d_name);
		char path[64];

		snprintf(path, sizeof path, "/proc/%d/comm", pid);
		if (pid > 0 && !strcmp(read_text(path), "rfork-memory\n") && status_number(pid, "PPid") == monitor)
			found[count++] = pid;
	}
	closedir(proc);
	return count;
}

static int count_open(pid_t pid, const char *kind)
{
	struct dirent *entry;
	char path[64];
	int count = 0;
	DIR *folder;

	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	folder = opendir(path);
	CHECK(folder);
	while ((entry = readdir(folder))) {
		char target[64] = "";

		count += readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1) > 0 &&
			 !strncmp(target, kind, strlen(kind));
	}
	closedir(folder);
	return count;
}

static void check(void)
{
	struct rfork_options options = { .backend = RFORK_BACKEND_USER };
	pid_t keepers[KEEPERS] = { 0 }, monitor;
	int rfd;

	monitor = create_waiting(&options, &rfd);
	EVENTUALLY(find_keepers(monitor, keepers) == 2);	/* the instance's, and its successor's */
	for (int i = 0; i < 2; i++) {
		EVENTUALLY(status_number(keepers[i], "Seccomp") == 1);
		EQUAL(count_open(keepers[i], "pipe:"), 3);
		EQUAL(count_open(keepers[i], ""), 3);
	}
	stop_group(rfd);
	EQUAL(find_keepers(monitor, keepers), 0);
	close(rfd);
}

int main(void)
{
	need(RFORK_CAN_KEEP_SPARE, "this backend makes nothing in advance");
	if (rfork_backend() == RFORK_BACKEND_KERNEL)
		SKIP("the kernel keeps the memory itself");
	if (status_number(getpid(), "Seccomp") < 0)
		SKIP("/proc does not tell of seccomp (Linux 3.8)");
	if (prctl(PR_GET_SECCOMP))
		SKIP("there is a seccomp filter already");
	CHECK(open("/dev/null", O_RDONLY) >= 0);
	check();
	return 0;
}
