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

#define MAX_DEPTH 8
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
	note->session = sender.pid > 0 ? getsid(sender.pid) : -1;
	read_text(text, note);
	return true;
}

static pid_t parent_of(pid_t pid)
{
	char path[32], text[512], *field;
	ssize_t got;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	got = read(fd, text, sizeof text - 1);
	close(fd);
	if (got <= 0)
		return 0;
	text[got] = '\0';
	field = strrchr(text, ')');
	return field && field[1] ? (pid_t)strtol(field + 3, NULL, 10) : 0;
}

/* A shell component says READY=1 through a child of its own. */
bool run_descends(pid_t pid, pid_t ancestor)
{
	for (int depth = 0; depth < MAX_DEPTH && pid > 1; depth++) {
		if (pid == ancestor)
			return true;
		pid = parent_of(pid);
	}
	return false;
}
