/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that an instance wants the next one to have (sd_notify's FDSTORE=1). They are in one message in a
 * socket, which each instance looks at without taking it: so a restart needs nobody's help, and what is in the
 * socket is as open as in a process.
 */
#include "run.h"
#include "../src/wire.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FIRST_FD 3

#define NAMES_SIZE (RUN_MAX_LISTEN * (RUN_NAME_MAX + 1) + 1)

struct stored {
	int fds[RUN_MAX_LISTEN];
	char names[RUN_MAX_LISTEN][RUN_NAME_MAX + 1];
	unsigned int count;
};

union rights {
	char bytes[CMSG_SPACE(sizeof(int) * RUN_MAX_LISTEN)];
	struct cmsghdr align;
};

void run_store_open(struct run_config *config)
{
	config->store[0] = config->store[1] = -1;
	if (!config->store_max)
		return;
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, config->store) < 0)
		run_fail("socketpair", "--store");
	for (int i = 0; i < 2; i++)
		config->store[i] = run_high_fd(config->store[i]);
}

static unsigned int take_some(const struct cmsghdr *header, int *fds, unsigned int count)
{
	for (size_t i = 0; i < (header->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
		if (count < RUN_MAX_LISTEN)
			fds[count++] = fd;
		else
			rfork_wire_discard(fd);
	}
	return count;
}

/* The message's descriptors, up to RUN_MAX_LISTEN; the caller's to close. */
unsigned int run_store_take(struct msghdr *message, int *fds)
{
	unsigned int count = 0;

	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header))
		if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
			count = take_some(header, fds, count);
	return count;
}

/* Where kcmp(2) is missing, what has an inode of its own is known by that; eventfds and the like share one. */
static bool same(int a, int b)
{
	struct stat first, second;
	long order = syscall(SYS_kcmp, getpid(), getpid(), 0 /* KCMP_FILE */, a, b);

	if (order >= 0 || errno != ENOSYS)
		return order == 0;
	return fstat(a, &first) == 0 && fstat(b, &second) == 0 && first.st_dev == second.st_dev &&
	       first.st_ino == second.st_ino && first.st_mode & S_IFMT;
}

static void forget(struct stored *stored, unsigned int place)
{
	rfork_wire_discard(stored->fds[place]);
	stored->count--;
	memmove(stored->fds + place, stored->fds + place + 1, (stored->count - place) * sizeof *stored->fds);
	memmove(stored->names + place, stored->names + place + 1, (stored->count - place) * sizeof *stored->names);
}

/* All of it in a new message, then the old one goes: whoever looks finds one of them. */
static void publish(struct runner *r, const struct stored *stored)
{
	bool first = !r->store_published;
	char text[NAMES_SIZE] = "";
	union rights rights;
	struct iovec part = { text, 0 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	struct cmsghdr *header;

	for (unsigned int i = 0; i < stored->count; i++)
		part.iov_len += (size_t)sprintf(text + part.iov_len, ":%s", stored->names[i]);
	if (stored->count) {
		message.msg_control = rights.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * stored->count);
		memset(&rights, 0, sizeof rights);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int) * stored->count);
		memcpy(CMSG_DATA(header), stored->fds, sizeof(int) * stored->count);
	} else {
		part = (struct iovec){ ":", 1 };
	}
	if (sendmsg(r->config->store[1], &message, MSG_DONTWAIT) < 0) {
		run_complain("sendmsg", "--store", errno);
		return;
	}
	r->store_published = true;
	if (!first && recv(r->config->store[0], text, sizeof text, MSG_DONTWAIT) < 0)
		run_complain("recv", "--store", errno);
}

/* The message now, without taking it: its names, each after a ':', and its descriptors, the caller's to close. */
static unsigned int look(const struct run_config *config, char *names, size_t size, int *fds)
{
	union rights rights;
	struct iovec part = { names, size - 1 };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = rights.bytes, .msg_controllen = sizeof rights.bytes,
	};
	ssize_t got = recvmsg(config->store[0], &message, MSG_PEEK | MSG_DONTWAIT);

	names[got > 0 ? got : 0] = '\0';
	return got > 0 ? run_store_take(&message, fds) : 0;
}

/* The message alone holds them between two words of an instance, so that nothing else that is forked here does. */
static void load(const struct runner *r, struct stored *stored)
{
	char names[NAMES_SIZE];

	stored->count = look(r->config, names, sizeof names, stored->fds);
	for (unsigned int i = 0; i < stored->count; i++) {
		char *name = strtok(i ? NULL : names, ":");

		snprintf(stored->names[i], sizeof stored->names[i], "%s", name ? name : "stored");
	}
}

static void record_full(struct runner *r)
{
	run_record(&r->log, "store", "full=%u%s", r->config->store_max, run_rate_summary(&r->store_rate));
}

/* Makes up for records that were left out. */
void run_store_check(struct runner *r)
{
	if (run_rate_makes_up(&r->store_rate, false))
		record_full(r);
}

/* What the instance says of it; its descriptors are the message's now. */
void run_store_heed(struct runner *r, struct run_note *note)
{
	struct stored stored;
	const char *name = note->fd_name[0] ? note->fd_name : "stored";
	bool changed = false;

	if (!(note->what & (NOTE_STORE | NOTE_REMOVE)) || !r->config->store_max) {
		run_store_drop(note);
		return;
	}
	load(r, &stored);
	for (unsigned int i = 0; i < stored.count && note->what & NOTE_REMOVE; i++)
		if (!strcmp(stored.names[i], name)) {
			forget(&stored, i--);
			changed = true;
		}
	for (unsigned int i = 0; i < note->fd_count && note->what & NOTE_STORE; i++) {
		unsigned int place = 0;

		/* What it got from us and stores again is there. */
		while (place < stored.count && !same(stored.fds[place], note->fds[i]))
			place++;
		if (place == stored.count && stored.count < r->config->store_max) {
			stored.fds[stored.count++] = note->fds[i];
			note->fds[i] = -1;
		} else if (place == stored.count) {
			if (run_rate_allows(&r->store_rate))
				record_full(r);
			break;
		}
		strcpy(stored.names[place], name);
		changed = true;
	}
	run_store_drop(note);
	if (changed)
		publish(r, &stored);
	while (stored.count)
		close(stored.fds[--stored.count]);
}

void run_store_drop(struct run_note *note)
{
	for (unsigned int i = 0; i < note->fd_count; i++)
		if (note->fds[i] >= 0)
			rfork_wire_discard(note->fds[i]);
	note->fd_count = 0;
}

/* In an instance: after those of --listen. The names of all, each after a ':', and how many are stored. */
unsigned int run_store_give(const struct run_config *config, char *names, size_t size)
{
	int fds[RUN_MAX_LISTEN];
	unsigned int count;

	*names = '\0';
	if (!config->store_max)
		return 0;
	count = look(config, names, size, fds);
	for (unsigned int i = 0; i < count; i++)	/* out of the way first */
		fds[i] = run_high_fd(fds[i]);
	for (unsigned int i = 0; i < count; i++)
		if (dup2(fds[i], FIRST_FD + (int)(config->listen_count + i)) < 0)
			run_fail("dup2", "--store");
	return count;
}
