/* SPDX-License-Identifier: MIT */
/* Messages on the notify socket, as a component sends them: text, and descriptors. */
#include "../../run/run.h"
#include "fuzz.h"
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int ends[2] = { -1, -1 };

static void send_it(const char *data, size_t size, unsigned int fds)
{
	union {
		char bytes[CMSG_SPACE(4 * sizeof(int))];
		struct cmsghdr header;
	} rights = { .bytes = { 0 } };
	struct iovec part = { (char *)(uintptr_t)data, size };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (fds) {
		message.msg_control = rights.bytes;
		message.msg_controllen = CMSG_SPACE(fds * sizeof(int));
		rights.header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(fds * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
		for (unsigned int i = 0; i < fds; i++)
			memcpy(CMSG_DATA(&rights.header) + i * sizeof(int), &ends[1], sizeof(int));
	}
	MUST(sendmsg(ends[1], &message, 0) == (ssize_t)size);
}

/* The first byte: how many descriptors come along, and whether they are stored. */
void fuzz_one(const char *data, size_t size)
{
	static struct run_config config;
	struct run_note note;
	int on = 1;

	if (ends[0] < 0)
		MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0 &&
		     setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
	if (!size)
		return;
	config.store_max = data[0] & 8 ? 4 : 0;
	send_it(data + 1, size - 1, data[0] & 3);
	MUST(run_notify_receive(&config, ends[0], &note));
	MUST(note.sender == getpid() && run_descends(&note.process, getpid()));
	MUST(strlen(note.status) <= RUN_STATUS_MAX && strlen(note.fd_name) <= RUN_NAME_MAX);
	MUST(!strchr(note.fd_name, ':') && note.fd_count <= (config.store_max ? 3u : 0u));
	MUST(!(note.what & NOTE_EXTEND) || (note.extend_ns && note.extend_ns <= 86400000000000ull));
	MUST(!(note.what & NOTE_MAIN) || note.main_pid > 1);
	run_store_drop(&note);
	MUST(!run_notify_receive(&config, ends[0], &note));
}
