/* SPDX-License-Identifier: MIT */
/* Messages with descriptors over sockets, for the monitor and for rfork-run. */
#ifndef RFORK_WIRE_H
#define RFORK_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define RFORK_WIRE_FDS 2

struct rfork_packet {
	void *data;
	size_t size;
	int fds[RFORK_WIRE_FDS];
	int fd_count;
	pid_t sender;		/* 0 where the socket does not tell */
	uid_t user;		/* its real one */
};

int rfork_wire_pair(int type, int pair[2]);
int rfork_wire_raise(int fd);
void rfork_wire_close(int *fd);
void rfork_wire_discard(int fd);
void rfork_wire_discard_all(struct rfork_packet *packet);
bool rfork_wire_is_pair(int fd, pid_t maker);
int rfork_wire_send(int socket, const struct rfork_packet *packet, int flags);
int rfork_wire_receive(int socket, struct rfork_packet *packet, int flags);

#endif
