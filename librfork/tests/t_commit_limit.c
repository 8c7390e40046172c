/* SPDX-License-Identifier: MIT */
/* With overcommit_memory 2 a spare does not take the rest of what others may still allocate. */
#include "system.h"

#define MODE "/proc/sys/vm/overcommit_memory"
#define RESTARTS 5
#define ENOUGH (32ul << 20)

static size_t meminfo(const char *name)
{
	const char *found = strstr(read_text("/proc/meminfo"), name);

	CHECK(found);
	return strtoul(found + strlen(name), NULL, 10) << 10;
}

/* What processes may still allocate. */
static size_t left(void)
{
	size_t limit = meminfo("CommitLimit:"), taken = meminfo("Committed_AS:");

	return limit > taken ? limit - taken : 0;
}

/* A spare would be the fourth to be charged for it. */
static void run(void)
{
	size_t size = left() / 100 * 22;
	struct rfork_options options = options_for_many();
	int rfd;

	CHECK(write_text(MODE, "2") == 0);
	CHECK(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	create_waiting(&options, &rfd);
	for (int i = 0; i < RESTARTS; i++) {
		pause_ms(100);	/* for a spare to be made if the kernel makes one */
		EQUAL(rfork_kick(rfd, SIGKILL, RFORK_CAUSE_OPERATOR), 0);
		EQUAL(next_event(rfd, RFORK_EV_RESTART).flags & RFORK_SPARE, 0);
	}
	stop_group(rfd);
}

int main(void)
{
	char before[8];
	int status;
	pid_t pid;

	if (!is_kernel_level())
		SKIP("what the user level keeps is ordinary processes");
	need_machine("the way memory is promised");
	if (left() < ENOUGH)
		SKIP("the machine has promised more than its limit already");
	snprintf(before, sizeof before, "%s", read_text(MODE));
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		run();
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(write_text(MODE, before) == 0);
	EQUAL(status, 0);
	return 0;
}
