/* SPDX-License-Identifier: MIT */
/* What an instance bound or locked is free before the next one runs: a port, a name of a Unix socket,
 * flock(2)s, and record locks. */
#include "testing.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ROUNDS 100

static void bind_port(in_port_t *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof address;
	int server = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(server >= 0);
	address.sin_port = *port;
	CHECK(bind(server, (struct sockaddr *)&address, size) == 0);
	CHECK(listen(server, 1) == 0);
	CHECK(getsockname(server, (struct sockaddr *)&address, &size) == 0);
	*port = address.sin_port;
}

static void bind_name(pid_t test)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int server = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "rfork-t-rebind-%d", test);
	CHECK(server >= 0);
	CHECK(bind(server, (struct sockaddr *)&address, sizeof address) == 0);
}

static void lock(void)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int file = open("lock", O_RDWR | O_CREAT, 0600);
	int records = open("records", O_RDWR | O_CREAT, 0600);

	CHECK(file >= 0 && records >= 0);
	CHECK(flock(file, LOCK_EX | LOCK_NB) == 0);
	CHECK(fcntl(records, F_SETLK, &whole) == 0);
}

int main(void)
{
	struct rfork_options options = options_for_many();
	pid_t test = getpid();
	in_port_t *port = shared(sizeof *port);
	int rfd;
	pid_t pid = rfork_create(&options, &rfd);

	CHECK(pid >= 0);
	if (pid == 0) {
		lock();
		bind_name(test);
		bind_port(port);
		if (rfork_generation() < ROUNDS)
			kill(getpid(), SIGSEGV);
		_exit(0);
	}
	for (int i = 0; i < ROUNDS; i++)
		EQUAL(next_event(rfd, RFORK_EV_RESTART).cause, RFORK_CAUSE_ERROR);
	EQUAL(expect_end(rfd, RFORK_END_EXIT).status, 0);
	return 0;
}
