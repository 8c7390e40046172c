/* SPDX-License-Identifier: MIT */
/* Who has the group's descriptor but may not signal the instance may neither stop nor restart it: EPERM. Who may, may. */
#include "system.h"

static int rfd;
static uid_t user;

static void stranger(void)
{
	struct rfork_info info;

	become_user(NOBODY);
	EQUAL(rfork_stop(rfd, SIGKILL), -EPERM);
	EQUAL(rfork_stop(rfd, 0), -EPERM);
	EQUAL(rfork_kick(rfd, 0, RFORK_CAUSE_OPERATOR), -EPERM);
	EQUAL(rfork_query(rfd, &info), 0);
	EQUAL(info.generation, 0);
}

static void same_user(void)
{
	become_user(user);
	EQUAL(rfork_kick(rfd, 0, RFORK_CAUSE_OPERATOR), 0);
}

static void owner(void)
{
	CHECK(setgroups(0, NULL) == 0);
	CHECK(setresuid(user, user, 0) == 0);
	create_waiting(NULL, &rfd);
	CHECK(setresuid(0, 0, 0) == 0);
	apart(stranger);
	apart(same_user);
	EQUAL(next_event(rfd, RFORK_EV_RESTART).cause, RFORK_CAUSE_OPERATOR);
	stop_group(rfd);
}

int main(void)
{
	need(RFORK_CAN_CHECK_SENDER, "POSIX does not report who sends");
	need_root("being two users");
	user = own_user();
	apart(owner);
	return 0;
}
