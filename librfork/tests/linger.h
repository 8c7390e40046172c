/* SPDX-License-Identifier: MIT */
/* A descriptor that whoever closes it last waits for. */
#ifndef LINGER_H
#define LINGER_H

#include "testing.h"
#include <netinet/in.h>
#include <sys/socket.h>

#define LINGER_S 1000

/* A connection whose last close(2) waits, and that nobody reads. */
static int lingering(void)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct linger linger = { 1, LINGER_S };
	socklen_t size = sizeof here;
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
	static char bytes[65536];

	CHECK(bind(listener, (struct sockaddr *)&here, sizeof here) == 0 && listen(listener, 1) == 0);
	CHECK(getsockname(listener, (struct sockaddr *)&here, &size) == 0);
	CHECK(connect(fd, (struct sockaddr *)&here, size) == 0);
	while (send(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
		;
	CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == 0);
	return fd;
}

#endif
