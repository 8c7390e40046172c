/* SPDX-License-Identifier: MIT */
#include "publish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* accept4 and SOCK_NONBLOCK are younger than Linux 2.6.23. */
static void set_flags(int fd)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
}

int publish_open(struct publisher *publisher, const char *file, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int error;

	memset(publisher, 0, sizeof(*publisher));
	publisher->file = file;
	publisher->listener = -1;
	if (!path)
		return 0;
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	publisher->listener = socket(AF_UNIX, SOCK_STREAM, 0);
	if (publisher->listener < 0)
		return -errno;
	unlink(path);
	/* Members of the user's group may connect. */
	if (bind(publisher->listener, (struct sockaddr *)&address, sizeof(address)) || chmod(path, 0660) ||
	    listen(publisher->listener, PUBLISH_CLIENTS)) {
		error = -errno;
		close(publisher->listener);
		return error;
	}
	set_flags(publisher->listener);
	return 0;
}

static int send_line(struct publisher *publisher, int fd)
{
	ssize_t sent = send(fd, publisher->line, publisher->length, MSG_NOSIGNAL | MSG_DONTWAIT);

	/* Half a line is worse than none: the client connects again. */
	return sent == (ssize_t)publisher->length ? 0 : -1;
}

void publish_accept(struct publisher *publisher)
{
	int fd = accept(publisher->listener, NULL, NULL);

	if (fd < 0)
		return;
	set_flags(fd);
	if (publisher->clients == PUBLISH_CLIENTS || (publisher->length > 0 && send_line(publisher, fd)))
		close(fd);
	else
		publisher->client[publisher->clients++] = fd;
}

static void format(struct publisher *publisher, const struct nmea_reader *reader)
{
	const struct gps_fix *fix = &reader->fix;
	int length = snprintf(publisher->line, sizeof(publisher->line),
		"{\"valid\": %s, \"time\": \"%s\", \"latitude\": %.6f, \"longitude\": %.6f, \"speed_kn\": %.1f, "
		"\"course\": %.1f, \"altitude_m\": %.1f, \"satellites\": %d, \"hdop\": %.1f, \"sentences\": %lu, "
		"\"garbled\": %lu, \"generation\": %lld}\n",
		fix->valid ? "true" : "false", fix->time, fix->latitude, fix->longitude, fix->speed_kn, fix->course,
		fix->altitude_m, fix->satellites, fix->hdop, reader->sentences, reader->garbled,
		(long long)publisher->generation);

	publisher->length = (size_t)length;
}

/* A reader of the file sees the old position or the new one, never half of one. */
static int write_file(const struct publisher *publisher)
{
	char temporary[4096];
	ssize_t written;
	int fd, error = 0;

	if ((size_t)snprintf(temporary, sizeof(temporary), "%s.new", publisher->file) >= sizeof(temporary))
		return -ENAMETOOLONG;
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	written = write(fd, publisher->line, publisher->length);
	if (written < 0)
		error = -errno;
	else if (written != (ssize_t)publisher->length)
		error = -ENOSPC;
	close(fd);
	if (!error && rename(temporary, publisher->file))
		error = -errno;
	return error;
}

int publish(struct publisher *publisher, const struct nmea_reader *reader)
{
	int kept = 0;

	format(publisher, reader);
	for (int i = 0; i < publisher->clients; i++) {
		if (send_line(publisher, publisher->client[i]))
			close(publisher->client[i]);
		else
			publisher->client[kept++] = publisher->client[i];
	}
	publisher->clients = kept;
	return publisher->file ? write_file(publisher) : 0;
}
