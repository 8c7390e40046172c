/* SPDX-License-Identifier: MIT */
/*
 * Every instance begins here: it waits, with all signals blocked, until its turn comes. A spare was made ahead and waits
 * for long; one that had to be made on the way of a restart only until its restart has been told.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <unistd.h>
#include "internal.h"
#include "wire.h"

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

	rfork_self_arrange(self, monitor, death_signal);
	rfork_self_set(self);
	if (order & RFORK_ORDER_AHEAD) {
		rfork_keeper_start(self, monitor);
		rfork_now();		/* maps the vDSO's: fork(2) leaves that to the first use */
	}
	wait_for(from, &go);
	self->generation = go.generation;
	self->fail_ns = go.fail_ns;
	self->start_ns = go.start_ns;
	self->cause = go.cause;
	self->status = go.status;
	self->flags = go.flags;
	rfork_self_renew(self);
}
