/* SPDX-License-Identifier: MIT */
/* /proc/self/fdinfo shows of a group's descriptor the instance's PID, the generation, how many events are unread and why the
 * group ended. */
#include "system.h"
#include <sys/utsname.h>

static long field(int rfd, const char *name)
{
	char path[64], wanted[64];
	const char *found;

	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", rfd);
	snprintf(wanted, sizeof wanted, "\nrfork-%s:", name);
	found = strstr(read_text(path), wanted);
	CHECK(found);
	return strtol(found + strlen(wanted), NULL, 0);
}

int main(void)
{
	struct rfork_options options = { .flags = RFORK_ON_STATUS };
	struct utsname name;
	int rfd;
	pid_t pid;

	CHECK(uname(&name) == 0);
	if (!is_kernel_level() || !strncmp(name.release, "2.6.", 4))
		SKIP("no fdinfo of descriptors there");
	pid = create_waiting(&options, &rfd);
	EQUAL(field(rfd, "pid"), pid);
	EQUAL(field(rfd, "generation"), 0);
	EQUAL(field(rfd, "flags"), RFORK_ON_STATUS);
	EQUAL(rfork_kick(rfd, 0, RFORK_CAUSE_OPERATOR), 0);
	EVENTUALLY(field(rfd, "pending") == 1);
	EQUAL(field(rfd, "generation"), 1);
	EQUAL(field(rfd, "pid"), next_event(rfd, RFORK_EV_RESTART).new_pid);
	EQUAL(field(rfd, "pending"), 0);
	EQUAL(field(rfd, "reason"), 0);
	stop_group(rfd);
	EQUAL(field(rfd, "reason"), RFORK_END_STOP);
	EQUAL(field(rfd, "pid"), 0);
	return 0;
}
