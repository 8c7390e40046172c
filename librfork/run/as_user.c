/* SPDX-License-Identifier: MIT */
/* The rights of a component's user, for files only: signals, limits and capabilities that are no matter of files stay root's. */
#include "path.h"
#include <errno.h>
#include <grp.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <unistd.h>

static gid_t own_groups[RUN_MAX_GROUPS];
static int own_group_count;
static gid_t own_gid;
static int was_dumpable, death_signal;
static pid_t parent;

/* False: there is no such user to be, or this process is it for good already. */
bool run_act_as_user(const struct run_config *config)
{
	if (!config->user || !config->uid || geteuid() != 0)
		return false;
	own_group_count = getgroups(RUN_MAX_GROUPS, own_groups);
	was_dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
	parent = getppid();
	if (prctl(PR_GET_PDEATHSIG, &death_signal, 0, 0, 0) < 0)
		death_signal = 0;
	if (own_group_count < 0 || setgroups(config->group_count, config->groups) < 0)
		run_fail("setgroups", config->user);
	own_gid = (gid_t)setfsgid(config->gid);
	setfsuid(config->uid);
	/* Neither says whether it has succeeded: the next call returns what is set. */
	if ((gid_t)setfsgid(config->gid) != config->gid || (uid_t)setfsuid(config->uid) != config->uid)
		run_fail("setfsuid", config->user);
	return true;
}

void run_act_as_root(void)
{
	setfsuid(0);
	setfsgid(own_gid);
	if (setfsuid(0) != 0 || setgroups((size_t)own_group_count, own_groups) < 0)
		run_fail("setfsuid", "root");
	/* A change of user forbids core dumps, and clears what ties an instance to its monitor. */
	if (was_dumpable == 1)
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	if (!death_signal)
		return;
	prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0);
	if (getppid() != parent)
		_exit(RUN_SYSTEM);
}
