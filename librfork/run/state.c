/* SPDX-License-Identifier: MIT */
/* The state folder: made, locked, with the notify socket in it. */
#include "path.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LOCK_WAIT_NS (5000 * RFORK_NSEC_PER_MSEC)
#define LOCK_RETRY_MS 20

static char notify_name[sizeof ((struct sockaddr_un *)0)->sun_path];

char *run_state_path(const struct run_config *config, const char *file)
{
	char *path;

	if (asprintf(&path, "%s/%s", config->state, file) < 0)
		run_fail("asprintf", file);
	return path;
}

/* Plain names in the folder are trusted from here on: only root can change what they stand for. The lock stays with this process, and with the image that rfork keeps of it: it is
 * free only once the component is gone too. */
void run_state_open(const struct run_config *config)
{
	uint64_t deadline = rfork_now() + LOCK_WAIT_NS;
	char *path;
	int fd;

	if (!config->state)
		return;
	if (!run_path_own_folder(config->state))
		run_path_fail("state");
	path = run_state_path(config, "lock");
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		run_fail("open", path);
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK || rfork_now() > deadline)
			run_fail("flock", path);
		poll(NULL, 0, LOCK_RETRY_MS);
	}
	free(path);
}

bool run_wants_notify(const struct run_config *config)
{
	return config->ready == READY_NOTIFY || config->heartbeat_ms || config->store_max;
}

/* What NOTIFY_SOCKET says: a path, or without a state folder a name after '@'. */
const char *run_notify_name(void)
{
	return notify_name;
}

static socklen_t notify_address(const struct run_config *config, struct sockaddr_un *address)
{
	int length;

	memset(address, 0, sizeof *address);
	address->sun_family = AF_UNIX;
	if (config->state)
		length = snprintf(notify_name, sizeof notify_name, "%s/notify", config->state);
	else
		length = snprintf(notify_name, sizeof notify_name, "@rfork-run/%s/%d", config->name, (int)getpid());
	if (length >= (int)sizeof notify_name)
		run_misuse("--state: '%s' is too long for a socket's path", config->state);
	memcpy(address->sun_path, notify_name, (size_t)length + 1);
	if (config->state)
		return sizeof *address;
	address->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)length);
}

int run_notify_open(const struct run_config *config)
{
	struct sockaddr_un address;
	socklen_t size;
	mode_t mask;
	int on = 1, fd, rc;

	if (!run_wants_notify(config))
		return -1;
	size = notify_address(config, &address);
	fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (fd < 0)
		run_fail("socket", "notify");
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (config->state)
		unlink(notify_name);
	mask = umask(0177);	/* for the component's user, and not for its groups */
	rc = setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0 ? -1 : bind(fd, (struct sockaddr *)&address, size);
	umask(mask);
	if (rc < 0)
		run_fail("bind", notify_name);
	if (config->state && config->user && lchown(notify_name, config->uid, config->gid) < 0)
		run_complain("chown", notify_name, errno);
	return fd;
}
