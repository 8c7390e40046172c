/* SPDX-License-Identifier: MIT */
/* The monitor's life: one loop over signals, commands, instances and holders. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "monitor.h"

#define OWNER_MS 500		/* nothing reports the end of a parent */
#define USUAL_ROOM 32768	/* of the socket to the owner; queue.c keeps more back for the last events */

enum { OWNER, CONTROL, PARENT, IMAGE, POLLED };

static bool owner_gone(const struct rfork_posix_monitor *m)
{
	if (m->options.flags & RFORK_OUTLIVE)
		return false;
	return m->hidden ? kill(m->owner, 0) < 0 && errno == ESRCH : getppid() != m->owner;
}

/* Whoever could be told is gone too. A holder ends its instance by itself. */
static _Noreturn void abandon(struct rfork_posix_monitor *m)
{
	rfork_posix_watch_kill(&m->watch);
	_exit(0);
}

/* Signals to the monitor that are meant for the instance, before its end is looked at: they go to the one that ended. */
static void forward(struct rfork_posix_monitor *m)
{
	uint64_t set = rfork_posix_watch_forward();

	for (int signal = 1; set >> signal; signal++)
		if (set >> signal & 1)
			rfork_posix_signal(m, signal);
}

/* A holder that has no instance and says something is gone. */
static void check_image(struct rfork_posix_monitor *m)
{
	if (m->image >= 0 && m->image != m->parent)
		rfork_posix_drop_image(m);
}

static bool has_ended(struct rfork_posix_monitor *m, bool heard, int *status, uint64_t *fail_ns)
{
	if (heard && m->parent >= 0)
		return rfork_posix_hear(m, status, fail_ns);
	if (m->parent >= 0 || !rfork_posix_watch_ended(&m->watch, status))
		return false;
	*fail_ns = rfork_now();
	return true;
}

/* Returns in instances only. */
static void watch(struct rfork_posix_monitor *m)
{
	for (;;) {
		struct pollfd fds[POLLED] = {
			[OWNER] = { .fd = m->owner_socket, .events = (short)(POLLIN | (m->queue.count ? POLLOUT : 0)) },
			[CONTROL] = { .fd = m->control, .events = POLLIN },
			[PARENT] = { .fd = m->parent, .events = POLLIN },
			[IMAGE] = { .fd = m->image == m->parent ? -1 : m->image, .events = POLLIN },
		};
		uint64_t fail_ns;
		int status;

		if (rfork_posix_watch_poll(&m->watch, fds, POLLED, m->options.flags & RFORK_OUTLIVE ? -1 : OWNER_MS))
			forward(m);
		if (owner_gone(m))
			abandon(m);
		if (fds[IMAGE].revents)
			check_image(m);
		if (fds[CONTROL].revents)
			rfork_posix_notices(m);
		if (fds[OWNER].revents)
			rfork_posix_commands(m);
		if (has_ended(m, fds[PARENT].revents, &status, &fail_ns) && rfork_posix_ended(m, status, fail_ns))
			return;
		rfork_posix_queue_flush(m);
	}
}

/* A pair whose first end is the monitor's, out of the way and not blocking. The other one, or -errno. */
static int open_pair(int *ours)
{
	int pair[2];
	int rc = rfork_posix_pair(pair);

	if (rc < 0)
		return rc;
	*ours = rfork_posix_raise(pair[0], false);
	if (*ours < 0)
		return *ours;
	rfork_posix_unblock(*ours);
	return pair[1];
}

/* The owner's end, marked as one of this backend, or -errno. */
static int open_owner_socket(struct rfork_posix_monitor *m)
{
	int on = 1, room = USUAL_ROOM, theirs = open_pair(&m->owner_socket);

	if (theirs < 0)
		return theirs;
	setsockopt(theirs, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	setsockopt(m->owner_socket, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	return theirs;
}

/* The instances' end, which stays open in what they execute. */
static int open_control(struct rfork_posix_monitor *m)
{
	int theirs = open_pair(&m->control);

	if (theirs >= 0)
		theirs = rfork_posix_raise(theirs, true);
	m->self.control = theirs;
	m->self.control_inode = rfork_posix_inode(theirs);
	return theirs;
}

static int set_up(struct rfork_posix_monitor *m, const struct rfork_posix_start *start)
{
	int rc;

	memset(m, 0, sizeof *m);
	m->options = *start->options;
	m->owner = start->owner;
	m->hidden = start->hidden;
	m->owner_socket = m->control = m->image = m->parent = -1;
	m->self.restart_status = m->options.restart_status;
	rfork_bucket_init(&m->bucket, m->options.burst, m->options.window_ms);
	rc = open_control(m);
	return rc < 0 ? rc : rfork_posix_watch_open(&m->watch, &start->mask, true);
}

static int say_hello(int socket, int32_t error, int owner_end)
{
	return rfork_posix_send(socket, &error, sizeof error, &owner_end, error ? 0 : 1);
}

void rfork_posix_monitor_run(const struct rfork_posix_start *start)
{
	struct rfork_posix_monitor monitor;
	int owner_end = -1, told = 0;
	int rc = set_up(&monitor, start);

	if (rc == 0)
		rc = owner_end = open_owner_socket(&monitor);
	if (rc >= 0)
		rc = rfork_posix_spawn(&monitor);
	if (rc != 1)
		told = say_hello(start->hello, rc < 0 ? rc : 0, owner_end);
	rfork_posix_close(&owner_end);
	close(start->hello);
	if (rc == 1)
		return;
	/* Without a word to the owner nobody has the descriptor. */
	if (rc < 0 || (told < 0 && !(monitor.options.flags & RFORK_OUTLIVE)))
		abandon(&monitor);
	watch(&monitor);
}
