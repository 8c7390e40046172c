/* SPDX-License-Identifier: MIT */
/* Sockets that are opened once and that every instance has: a connection made between two instances waits
 * in the backlog instead of being refused. The protocol is systemd's, sd_listen_fds(3). */
#include "path.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_FD 3
#define BACKLOG 128
/* How long the processes of a runner that was killed may take to be gone. */
#define IN_USE_NS (5000 * RFORK_NSEC_PER_MSEC)
#define IN_USE_RETRY_MS 20

static int unix_socket(int type, const char *path, struct sockaddr_un *address)
{
	memset(address, 0, sizeof *address);
	address->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof address->sun_path)
		run_misuse("--listen: '%s' is too long for a socket's path", path);
	strcpy(address->sun_path, path);
	return socket(AF_UNIX, type, 0);
}

static int inet_socket(int type, char *text, struct sockaddr_in *address)
{
	char *colon = strrchr(text, ':'), *port = colon ? colon + 1 : text, *end;
	int on = 1, fd = socket(AF_INET, type, 0);

	memset(address, 0, sizeof *address);
	address->sin_family = AF_INET;
	address->sin_port = htons((uint16_t)strtoul(port, &end, 10));
	if (*end || !address->sin_port)
		run_misuse("--listen: '%s' is no port from 1 to 65535", port);
	if (colon)
		*colon = '\0';
	if (inet_pton(AF_INET, colon ? text : "0.0.0.0", &address->sin_addr) != 1)
		run_misuse("--listen: '%s' is no IPv4 address", text);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	return fd;
}

/* Who listens on a socket at this path: 0 for nobody. What has listened and is gone may have left it to its children,
 * which nobody can ask to give it up. */
static pid_t listener(const struct sockaddr_un *address)
{
	struct ucred peer = { 0 };
	socklen_t size = sizeof peer;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), rc;

	if (fd < 0)
		return 0;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	rc = connect(fd, (const struct sockaddr *)address, sizeof *address);
	if (rc == 0)
		rc = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
	else if (errno == EAGAIN)
		peer.pid = -1;	/* its queue is full: unknown */
	close(fd);
	return peer.pid > 0 && kill(peer.pid, 0) < 0 && errno == ESRCH ? 0 : peer.pid;
}

/* What an earlier runner has left goes; neither a file, nor what somebody listens on. */
static bool make_room(const struct run_place *place, const struct sockaddr_un *address)
{
	uint64_t deadline = rfork_now() + IN_USE_NS;
	struct stat st;

	if (fstatat(place->folder, place->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return true;
	if (!S_ISSOCK(st.st_mode) && !S_ISLNK(st.st_mode))
		return run_path_refuse(address->sun_path, "is there, and is not a socket");
	while (S_ISSOCK(st.st_mode) && listener(address)) {
		if (rfork_now() > deadline)
			return run_path_refuse(address->sun_path, "is in use: another process listens on it");
		poll(NULL, 0, IN_USE_RETRY_MS);
	}
	return unlinkat(place->folder, place->name, 0) == 0 || errno == ENOENT || run_path_error(address->sun_path, errno);
}

/* Where somebody else could put a link in the socket's place, the component's user binds it: it is that user's from the start,
 * and nothing is done to it by name. */
static bool bind_unix(const struct run_config *config, int fd, const struct sockaddr_un *address)
{
	struct run_place place;
	mode_t mask;
	int rc;

	if (!run_path_find(config, -1, address->sun_path, false, &place))
		return false;
	if (!make_room(&place, address)) {
		run_path_leave(&place);
		return false;
	}
	mask = umask(0117);
	rc = bind(fd, (const struct sockaddr *)address, sizeof *address);
	umask(mask);
	if (rc == 0 && place.guarded && config->user)
		rc = fchownat(place.folder, place.name, config->uid, config->gid, AT_SYMLINK_NOFOLLOW);
	if (rc < 0)
		run_path_error(address->sun_path, errno);
	run_path_leave(&place);
	return rc == 0;
}

static bool bind_to(const struct run_config *config, int fd, const struct sockaddr *address, bool inet)
{
	if (!inet)
		return bind_unix(config, fd, (const struct sockaddr_un *)(const void *)address);
	return bind(fd, address, sizeof(struct sockaddr_in)) == 0 || run_path_error("bind", errno);
}

/* tcp:[ADDRESS:]PORT, udp:[ADDRESS:]PORT, unix:PATH (stream), unixgram:PATH */
static int open_one(const struct run_config *config, const char *spec)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_un un;
	} address;
	char *text = strdup(strchr(spec, ':') ? strchr(spec, ':') + 1 : "");
	bool stream = !strncmp(spec, "tcp:", 4) || !strncmp(spec, "unix:", 5);
	bool inet = !strncmp(spec, "tcp:", 4) || !strncmp(spec, "udp:", 4);
	int type = stream ? SOCK_STREAM : SOCK_DGRAM, fd;

	if (!inet && strncmp(spec, "unix:", 5) && strncmp(spec, "unixgram:", 9))
		run_misuse("--listen: '%s' is not tcp:, udp:, unix: or unixgram:", spec);
	fd = inet ? inet_socket(type, text, &address.in) : unix_socket(type, text, &address.un);
	if (fd < 0)
		run_fail("listen", spec);
	if (!bind_to(config, fd, &address.any, inet)) {
		fprintf(stderr, "rfork-run: listen %s: %s\n", spec, run_path_reason());
		exit(RUN_SYSTEM);
	}
	if (stream && listen(fd, BACKLOG) < 0)
		run_fail("listen", spec);
	free(text);
	return fd;
}

/* Beyond the numbers that an instance gives them, so that none is overwritten before it has moved. */
void run_listen_open(struct run_config *config)
{
	for (unsigned int i = 0; i < config->listen_count; i++) {
		int fd = open_one(config, config->listen[i]);

		config->listen_fds[i] = fcntl(fd, F_DUPFD, FIRST_FD + RUN_MAX_LISTEN);
		if (config->listen_fds[i] < 0)
			run_fail("fcntl", config->listen[i]);
		close(fd);
		fcntl(config->listen_fds[i], F_SETFD, FD_CLOEXEC);
	}
}

/* In an instance. dup2(2) leaves FD_CLOEXEC behind. */
void run_listen_give(const struct run_config *config)
{
	char text[24], stored[RUN_MAX_LISTEN * (RUN_NAME_MAX + 1) + 1], names[sizeof stored + 128] = "";
	unsigned int count;

	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDNAMES");
	for (unsigned int i = 0; i < config->listen_count; i++)
		if (dup2(config->listen_fds[i], FIRST_FD + (int)i) < 0)
			run_fail("dup2", config->listen[i]);
	count = run_store_give(config, stored, sizeof stored);
	if (!config->listen_count && !count)
		return;
	if (count) {
		for (unsigned int i = 0; i < config->listen_count; i++)
			strcat(names, ":listen");
		strcat(names, stored);
		setenv("LISTEN_FDNAMES", names + 1, 1);
	}
	snprintf(text, sizeof text, "%u", config->listen_count + count);
	setenv("LISTEN_FDS", text, 1);
	snprintf(text, sizeof text, "%d", (int)getpid());
	setenv("LISTEN_PID", text, 1);
}
