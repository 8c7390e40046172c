/* SPDX-License-Identifier: MIT */
/* What an instance bound or locked is free before the next one runs. */
#include "testing.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>

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

int main(void)
{
	struct rfork_options options = options_for_many();
	in_port_t *port = shared(sizeof *port);
	int rfd;
	pid_t pid = rfork_create(&options, &rfd);

	CHECK(pid >= 0);
	if (pid == 0) {
		int lock = open("lock", O_RDWR | O_CREAT, 0600);

		CHECK(lock >= 0);
		/* A kernel may be built without file locks. */
		CHECK(flock(lock, LOCK_EX | LOCK_NB) == 0 || errno == ENOSYS);
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
