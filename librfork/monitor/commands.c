/* SPDX-License-Identifier: MIT */
/* The owner's commands: stop, restart, query. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "monitor.h"

#define AT_ONCE 64		/* then the rest of the monitor's work has its turn */

static int stop(struct rfork_monitor *m, const struct rfork_command *command)
{
	m->stopping = true;
	return command->signal ? rfork_child_signal(m, (int)command->signal) : 0;
}

static int kick(struct rfork_monitor *m, const struct rfork_command *command)
{
	if (command->cause != RFORK_CAUSE_OPERATOR && command->cause != RFORK_CAUSE_HEARTBEAT)
		return -EINVAL;
	if (!m->self.pid)
		return 0;	/* a restart is under way as it is */
	m->kick = command->cause;	/* after a stop it only names the end */
	return rfork_child_signal(m, command->signal ? (int)command->signal : SIGKILL);
}

static void describe(const struct rfork_monitor *m, struct rfork_info *info)
{
	info->cause = m->self.cause;
	info->status = m->self.status;
	info->pid = m->self.pid;
	info->generation = m->self.generation;
	info->flags = m->self.flags;
	info->fail_ns = m->self.fail_ns;
	info->start_ns = m->self.start_ns;
}

/* As kill(2) asks of a sender who would signal us. */
static bool may_order(const struct rfork_monitor *m, uid_t user)
{
	return user == 0 || user == m->user || user == m->saved_user;
}

static int obey(struct rfork_monitor *m, const struct rfork_command *command, struct rfork_reply *reply)
{
	switch (command->cmd) {
	case RFORK_STOP:
		return stop(m, command);
	case RFORK_RESTART:
		return kick(m, command);
	case RFORK_INFO:
		describe(m, &reply->info);
		return 0;
	default:
		return -EINVAL;
	}
}

/* False: there is none now. */
static bool obey_one(struct rfork_monitor *m)
{
	struct rfork_command command;
	struct rfork_packet in = { .data = &command, .size = sizeof command };
	struct rfork_reply reply = { 0 };
	struct rfork_packet out = { .data = &reply, .size = sizeof reply };
	int rc;

	if (m->owner_socket < 0)
		return false;
	rc = rfork_wire_receive(m->owner_socket, &in, MSG_DONTWAIT);
	if (rc == 0 || rc == -ECONNRESET)
		rfork_wire_close(&m->owner_socket);
	if (rc != 1)
		return rc == -EPROTO;
	if (command.cmd == RFORK_INFO || may_order(m, in.user))
		reply.error = obey(m, &command, &reply);
	else
		reply.error = -EPERM;
	if (in.fd_count)
		rfork_wire_send(in.fds[0], &out, MSG_DONTWAIT);
	rfork_wire_discard_all(&in);
	return true;
}

void rfork_monitor_commands(struct rfork_monitor *m)
{
	m->owner_waits = false;
	for (int i = 0; i < AT_ONCE && obey_one(m); i++)
		;
}
