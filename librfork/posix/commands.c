/* SPDX-License-Identifier: MIT */
/* The owner's commands: stop, restart, query. Whoever has the group's descriptor may give them. */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "monitor.h"

#define AT_ONCE 64		/* then the rest of the monitor's work is done */

static int restart(struct rfork_posix_monitor *m, const struct rfork_posix_command *command)
{
	if (command->cause != RFORK_CAUSE_OPERATOR && command->cause != RFORK_CAUSE_HEARTBEAT)
		return -EINVAL;
	if (!m->self.pid)
		return 0;	/* a restart is under way as it is */
	m->kick = command->cause;	/* after a stop it only names the end */
	return rfork_posix_signal(m, command->signal ? (int)command->signal : SIGKILL);
}

static void describe(const struct rfork_posix_monitor *m, struct rfork_info *info)
{
	info->cause = m->self.cause;
	info->status = m->self.status;
	info->pid = m->self.pid;
	info->generation = m->self.generation;
	info->flags = m->self.flags;
	info->fail_ns = m->self.fail_ns;
	info->start_ns = m->self.start_ns;
}

static int obey(struct rfork_posix_monitor *m, const struct rfork_posix_command *command, struct rfork_posix_reply *reply)
{
	switch (command->cmd) {
	case RFORK_STOP:
		m->stopping = true;
		return command->signal ? rfork_posix_signal(m, (int)command->signal) : 0;
	case RFORK_RESTART:
		return restart(m, command);
	case RFORK_INFO:
		describe(m, &reply->info);
		return 0;
	default:
		return -EINVAL;
	}
}

/* False: there is none now. */
static bool obey_one(struct rfork_posix_monitor *m)
{
	struct rfork_posix_command command;
	struct rfork_posix_reply reply;
	int answer_to, count = 1, rc;

	if (m->owner_socket < 0)
		return false;
	rc = rfork_posix_receive(m->owner_socket, &command, sizeof command, &answer_to, &count);
	if (rc == 0)
		rfork_posix_close(&m->owner_socket);
	if (rc != 1)
		return rc == -EPROTO;
	memset(&reply, 0, sizeof reply);
	reply.error = obey(m, &command, &reply);
	if (count) {
		rfork_posix_unblock(answer_to);
		rfork_posix_send(answer_to, &reply, sizeof reply, NULL, 0);
		close(answer_to);
	}
	return true;
}

void rfork_posix_commands(struct rfork_posix_monitor *m)
{
	for (int i = 0; i < AT_ONCE && obey_one(m); i++)
		;
}
