/* SPDX-License-Identifier: MIT */
/* Socket pairs, and descriptors passed over them. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "group.h"

#define HIGH_FD 200

union control {			/* CMSG_SPACE is younger than POSIX.1-2008 */
	struct cmsghdr header;
	unsigned char bytes[sizeof(struct cmsghdr) + 64];
};

int rfork_posix_pair(int pair[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		return -errno;
	for (int i = 0; i < 2; i++)
		fcntl(pair[i], F_SETFD, FD_CLOEXEC);
	return 0;
}

/* Moves fd out of the way of the program's own numbers, which it may count on being the lowest free ones. Returns the new
 * number, or -errno. Programs that the instance executes have it too if it is inherited. */
int rfork_posix_raise(int fd, bool inherited)
{
	int high = -1;

	for (int base = HIGH_FD; high < 0 && base > 0; base /= 2)
		high = fcntl(fd, inherited ? F_DUPFD : F_DUPFD_CLOEXEC, base);
	if (high < 0)
		return -errno;
	close(fd);
	return high;
}

void rfork_posix_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void rfork_posix_unblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

static size_t header_size(struct cmsghdr *header)
{
	return (size_t)(CMSG_DATA(header) - (unsigned char *)header);
}

int rfork_posix_send(int socket, const void *data, size_t size, const int *fds, int count)
{
	union control control;
	struct iovec part = { (void *)(uintptr_t)data, size };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	size_t bytes = (size_t)count * sizeof *fds;
	ssize_t sent;

	memset(&control, 0, sizeof control);
	if (count) {
		message.msg_control = &control;
		message.msg_controllen = sizeof control;	/* CMSG_FIRSTHDR looks at it */
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = (socklen_t)(header_size(&control.header) + bytes);
		memcpy(CMSG_DATA(&control.header), fds, bytes);
		message.msg_controllen = control.header.cmsg_len;
	}
	do
		sent = sendmsg(socket, &message, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return -errno;
	return (size_t)sent == size ? 0 : -EPROTO;
}

/* At most so many; others are closed. */
static int take_fds(struct msghdr *message, int *fds, int most)
{
	int taken = 0;

	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
		size_t count = (header->cmsg_len - header_size(header)) / sizeof(int);

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
			fcntl(fd, F_SETFD, FD_CLOEXEC);
			if (taken < most)
				fds[taken++] = fd;
			else
				close(fd);
		}
	}
	return taken;
}

/* 1: a whole message, and up to *count descriptors; 0: end of file; -EPROTO: another size, its descriptors closed. */
int rfork_posix_receive(int socket, void *data, size_t size, int *fds, int *count)
{
	union control control;
	struct iovec part = { data, size };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control,
	};
	int most = count ? *count : 0, taken;
	ssize_t got;

	do
		got = recvmsg(socket, &message, 0);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == ECONNRESET ? 0 : -errno;
	taken = take_fds(&message, fds, most);
	if (count)
		*count = taken;
	if ((size_t)got == size)
		return 1;
	while (taken)
		close(fds[--taken]);
	return got ? -EPROTO : 0;
}
