/* SPDX-License-Identifier: MIT */
/* The sd_notify protocol's messages, and who said them. */
#include "run.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST_FDS 255	/* in one message: SCM_MAX_FD, or more than it */

#define EXTEND_MOST_US (86400ull * 1000000)

/* One line of the message; what is not known is not an error. */
static void take_line(const char *line, struct run_note *note)
{
	static const struct { const char *text; unsigned int what; } flags[] = {
		{ "READY=1", NOTE_READY }, { "WATCHDOG=1", NOTE_ALIVE },
		{ "WATCHDOG=trigger", NOTE_TRIGGER }, { "STOPPING=1", NOTE_STOPPING },
		{ "FDSTORE=1", NOTE_STORE }, { "FDSTOREREMOVE=1", NOTE_REMOVE },
	};
	unsigned long long number = 0;

	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		if (!strcmp(line, flags[i].text))
			note->what |= flags[i].what;
	if (sscanf(line, "EXTEND_TIMEOUT_USEC=%llu", &number) == 1 && number && number <= EXTEND_MOST_US) {
		note->what |= NOTE_EXTEND;
		note->extend_ns = number * 1000;
	} else if (sscanf(line, "MAINPID=%llu", &number) == 1 && number > 1 && number < (1u << 30)) {
		note->what |= NOTE_MAIN;
		note->main_pid = (pid_t)number;
	} else if (!strncmp(line, "FDNAME=", 7) && !strchr(line, ':')) {
		snprintf(note->fd_name, sizeof note->fd_name, "%.*s", RUN_NAME_MAX, line + 7);
	} else if (!strncmp(line, "STATUS=", 7)) {
		note->what |= NOTE_STATUS;
		snprintf(note->status, sizeof note->status, "%.*s", RUN_STATUS_MAX, line + 7);
	}
}

static void read_text(char *text, struct run_note *note)
{
	note->what = 0;
	note->fd_name[0] = '\0';
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		take_line(line, note);
}

/* False: there is none now. Descriptors sent along are all taken, and closed without --store: the kernel would close what it has no
 * room for, and could wait for that as long as the sender likes (SO_LINGER). */
bool run_notify_receive(const struct run_config *config, int socket, struct run_note *note)
{
	char text[4096];
	union {
		char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int) * MOST_FDS)];
		struct cmsghdr align;
	} control;
	struct iovec part = { text, sizeof text - 1 };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = control.bytes, .msg_controllen = sizeof control.bytes,
	};
	struct cmsghdr *header;
	struct ucred sender = { 0 };
	ssize_t got = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (got < 0)
		return false;
	text[got] = '\0';
	for (header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header))
		if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_CREDENTIALS)
			memcpy(&sender, CMSG_DATA(header), sizeof sender);
	note->fd_count = run_store_take(&message, note->fds);
	if (!config->store_max)
		run_store_drop(note);
	note->sender = sender.pid;
	note->user = sender.uid;
	note->process = run_process_of(sender.pid);
	read_text(text, note);
	return true;
}

/* The process's parent, 0 if the process is gone. */
static pid_t look_at(pid_t pid, uint64_t *start)
{
	char path[32], text[1024], *field;
	unsigned long long ticks;
	ssize_t got;
	int fd, parent;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	got = read(fd, text, sizeof text - 1);
	close(fd);
	text[got > 0 ? got : 0] = '\0';
	field = strrchr(text, ')');	/* the name before it may hold anything */
	if (!field || sscanf(field, ") %*c %d %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
			     &parent, &ticks) != 2)
		return 0;
	if (start)
		*start = ticks;
	return parent;
}

/* Read when the message is: afterwards the process may be gone, and its number another's. A process that is gone already is
 * known by its number only, which says enough of an instance. */
struct run_process run_process_of(pid_t pid)
{
	struct run_process process = { 0 };
	pid_t parent;

	for (int i = 0; i < RUN_ANCESTORS && pid > 0; i++, pid = parent) {
		process.line[i] = pid;
		parent = look_at(pid, i ? NULL : &process.start);
	}
	return process;
}

/* A shell component says READY=1 through a child of its own. */
bool run_descends(const struct run_process *process, pid_t ancestor)
{
	for (int i = 0; i < RUN_ANCESTORS && process->line[i]; i++)
		if (process->line[i] == ancestor)
			return true;
	return false;
}
