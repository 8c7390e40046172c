/* SPDX-License-Identifier: MIT */
/* Sockets, and descriptors passed over them, with what Linux 2.6.23 has. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "wire.h"

#define HIGH_FD 200
#define MOST_FDS 255		/* in one message: SCM_MAX_FD, or more than it */

int rfork_wire_pair(int type, int pair[2])
{
	if (socketpair(AF_UNIX, type, 0, pair) < 0)
		return -errno;
	for (int i = 0; i < 2; i++)
		fcntl(pair[i], F_SETFD, FD_CLOEXEC);
	return 0;
}

/* Moves fd out of the way of the program's own numbers (which it may count on being
 * the lowest free ones). Returns the new number, close-on-exec, or -errno. */
int rfork_wire_raise(int fd)
{
	int high = -1;

	for (int base = HIGH_FD; high < 0 && base > 0; base /= 2)
		high = fcntl(fd, F_DUPFD, base);
	if (high < 0)
		return -errno;
	fcntl(high, F_SETFD, FD_CLOEXEC);
	close(fd);
	return high;
}

void rfork_wire_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Closes a descriptor that another process has sent. The sender may have closed its own, and the last close(2) of a
 * connection waits as long as SO_LINGER says. */
void rfork_wire_discard(int fd)
{
	static const struct linger none = { 0, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
	close(fd);
}

void rfork_wire_discard_all(struct rfork_packet *packet)
{
	while (packet->fd_count)
		rfork_wire_discard(packet->fds[--packet->fd_count]);
}

/* Whether it is an end of a Unix stream socket pair that this process has made: what we say there, no third process hears. */
bool rfork_wire_is_pair(int fd, pid_t maker)
{
	struct sockaddr_un name = { .sun_family = AF_UNSPEC };
	struct ucred peer;
	int type;
	socklen_t name_size = sizeof name, peer_size = sizeof peer, type_size = sizeof type;

	return getsockname(fd, (struct sockaddr *)&name, &name_size) == 0 && name.sun_family == AF_UNIX &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size) == 0 && type == SOCK_STREAM &&
	       getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_size) == 0 && peer.pid == maker;
}

int rfork_wire_send(int socket, const struct rfork_packet *packet, int flags)
{
	union {
		char bytes[CMSG_SPACE(RFORK_WIRE_FDS * sizeof(int))];
		struct cmsghdr align;
	} control = { .bytes = { 0 } };
	struct iovec part = { packet->data, packet->size };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	size_t bytes = (size_t)packet->fd_count * sizeof(int);
	ssize_t sent;

	if (bytes) {
		struct cmsghdr *header;

		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(bytes);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(bytes);
		memcpy(CMSG_DATA(header), packet->fds, bytes);
	}
	do
		sent = sendmsg(socket, &message, flags | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return -errno;
	return (size_t)sent == packet->size ? 0 : -EPROTO;
}

static void take_fds(struct rfork_packet *packet, struct cmsghdr *header)
{
	size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);

	for (size_t i = 0; i < count; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
		if (packet->fd_count == RFORK_WIRE_FDS) {
			rfork_wire_discard(fd);
			continue;
		}
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		packet->fds[packet->fd_count++] = fd;
	}
}

static void take_sender(struct rfork_packet *packet, struct cmsghdr *header)
{
	struct ucred sender;

	memcpy(&sender, CMSG_DATA(header), sizeof sender);
	packet->sender = sender.pid;
	packet->user = sender.uid;
}

/* 1: a whole message of packet->size bytes; 0: end of file; -EPROTO: another size,
 * its descriptors closed. There is room for all descriptors that a message can have: the kernel would close the others, and
 * could wait for that. */
int rfork_wire_receive(int socket, struct rfork_packet *packet, int flags)
{
	union {
		char bytes[CMSG_SPACE(MOST_FDS * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr align;
	} control;
	struct iovec part = { packet->data, packet->size };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = control.bytes, .msg_controllen = sizeof control.bytes,
	};
	ssize_t got;

	packet->fd_count = 0;
	packet->sender = 0;
	packet->user = (uid_t)-1;
	got = recvmsg(socket, &message, flags);
	if (got < 0)
		return -errno;
	for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
		if (header->cmsg_level != SOL_SOCKET)
			continue;
		if (header->cmsg_type == SCM_RIGHTS)
			take_fds(packet, header);
		else if (header->cmsg_type == SCM_CREDENTIALS)
			take_sender(packet, header);
	}
	if ((size_t)got == packet->size)
		return 1;
	rfork_wire_discard_all(packet);
	return got ? -EPROTO : 0;
}
