/* SPDX-License-Identifier: MIT */
/* Where the position goes: a JSON file, renamed into place, and a line to each connected client. */
#ifndef GPS_PUBLISH_H
#define GPS_PUBLISH_H

#include <stddef.h>
#include <stdint.h>

#include "nmea.h"

#define PUBLISH_CLIENTS 16

struct publisher {
	const char *file;	/* NULL: none */
	int listener;		/* -1: none */
	int client[PUBLISH_CLIENTS];
	int clients;
	int64_t generation;	/* told in every line, so that a reader sees a restart */
	char line[512];		/* the last one: a new client gets it at once */
	size_t length;
};

/* Bind and listen at path (NULL: none), replacing a socket left by an earlier run. 0 or -errno. */
int publish_open(struct publisher *publisher, const char *file, const char *path);

/* A connection is waiting at the listener. */
void publish_accept(struct publisher *publisher);

/* Tell the fix to everybody. 0, or -errno of the file; a client that cannot take its line is dropped. */
int publish(struct publisher *publisher, const struct nmea_reader *reader);

#endif
