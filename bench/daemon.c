/* SPDX-License-Identifier: MIT */
/*
 * A component with memory: it fills the given number of megabytes, as if it read a model, sends READY=1 and waits.
 *
 *   daemon MB [warm]
 *
 * warm: what it has filled is in the image that a restart begins from.
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "bench.h"

static void notify(const char *state)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	size_t length = path ? strlen(path) : 0;
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	if (fd < 0 || !length || length >= sizeof name.sun_path)
		exit(EXIT_USAGE);
	memcpy(name.sun_path, path, length);
	if (*path == '@')
		name.sun_path[0] = '\0';
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&name,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
		die(path);
	close(fd);
}

int main(int argc, char **argv)
{
	struct memory memory;
	int megabytes = argc > 1 ? atoi(argv[1]) : 0;

	if (megabytes < 1) {
		fprintf(stderr, "usage: daemon MB [warm]\n");
		return EXIT_USAGE;
	}
	memory_make(&memory, (size_t)megabytes * MEGABYTE);
	if (argc > 2 && rfork_checkpoint() < 0)
		die("rfork_checkpoint");
	notify("READY=1");
	for (;;)
		pause();
}
