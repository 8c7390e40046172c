/* SPDX-License-Identifier: MIT */
/*
 * Every instance begins here: it waits, with all signals blocked, until its turn comes. A spare was made ahead and waits
 * for long; one that had to be made on the way of a restart only until its restart has been told.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "instance.h"

static bool hidden;

/*
 * From here on until rfork_self_show(), in this process and in what is cloned of it, ptrace(2) and /proc/PID/mem need a right that
 * an instance with the same user does not have: what waits must not be changed by an instance that runs. Nothing changes
 * where the program itself is hidden so.
 */
void rfork_self_hide(void)
{
	hidden = prctl(PR_GET_DUMPABLE) == 1 && prctl(PR_SET_DUMPABLE, 0) == 0;
}

void rfork_self_show(void)
{
	if (hidden)
		prctl(PR_SET_DUMPABLE, 1);
	hidden = false;
}

static void wait_for(int from, struct rfork_go *go)
{
	ssize_t got;

	do
		got = read(from, go, sizeof *go);
	while (got < 0 && errno == EINTR);
	if (got != sizeof *go)
		_exit(0);		/* the monitor has let go of us */
	close(from);
}

/* Returns when it is the instance; what it is told is in *self then. Whatever can be done before is. */
void rfork_self_wait_turn(struct rfork_self *self, pid_t monitor, int death_signal, int from, uint32_t order)
{
	struct rfork_go go;
	bool show = hidden;

	rfork_self_arrange(self, monitor, death_signal);
	rfork_self_set(self);
	if (order & RFORK_ORDER_AHEAD) {
		rfork_keeper_start(self, monitor);
		rfork_now();		/* maps the vDSO's: fork(2) leaves that to the first use */
	}
	hidden = false;			/* written before, or a page would be copied on the way of a restart */
	wait_for(from, &go);
	if (show)
		prctl(PR_SET_DUMPABLE, 1);
	self->generation = go.generation;
	self->fail_ns = go.fail_ns;
	self->start_ns = go.start_ns;
	self->cause = go.cause;
	self->status = go.status;
	self->flags = go.flags;
	rfork_self_renew(self);
}
