/* SPDX-License-Identifier: MIT */
/* A spare instance: made ahead, it waits with all signals blocked until its turn comes. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "internal.h"
#include "wire.h"

void rfork_spare_start_keeper(const struct rfork_self *self, pid_t monitor)
{
	struct rfork_notice notice = { .type = RFORK_NOTICE_KEEPER, .pid = rfork_keeper_start(monitor) };

	if (notice.pid > 0)
		send(self->control, &notice, sizeof notice, MSG_NOSIGNAL);
}

/* Returns when it is the instance; what it is told is in *self then. Whatever can be done before is. */
void rfork_spare_wait(struct rfork_self *self, pid_t monitor, int death_signal, int go_fd)
{
	struct rfork_go go;
	ssize_t got;

	rfork_self_arrange(self, monitor, death_signal);
	self->flags |= RFORK_SPARE;
	rfork_spare_start_keeper(self, monitor);
	rfork_self_set(self);		/* writes the pages that will be written again */
	self->start_ns = rfork_now();
	do
		got = read(go_fd, &go, sizeof go);
	while (got < 0 && errno == EINTR);
	if (got != sizeof go)
		_exit(0);		/* the monitor has let go of it */
	close(go_fd);
	self->generation = go.generation;
	self->fail_ns = go.fail_ns;
	self->cause = go.cause;
	self->status = go.status;
}

/* What was sent to many while it waited is not for it. */
void rfork_spare_forget_signals(void)
{
	static const struct timespec now;
	sigset_t all;
	int saved = errno;

	sigfillset(&all);
	while (sigtimedwait(&all, NULL, &now) > 0)
		;
	errno = saved;
}
