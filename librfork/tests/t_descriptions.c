/* SPDX-License-Identifier: MIT */
/* Open file descriptions of the restart point are shared by all instances, as after fork(2): an offset, an inotify queue, what
 * a pipe holds, a listening socket's connections go on. Those opened later are closed before the next instance runs. */
#include "testing.h"
#include <netinet/in.h>
#include <sys/inotify.h>
#include <sys/socket.h>

#define RESTARTS 10

static int file, queue, pipe_ends[2], server;

static void open_all(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };

	file = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600);
	queue = inotify_init();
	CHECK(file >= 0 && queue >= 0 && inotify_add_watch(queue, ".", IN_CREATE) >= 0);
	CHECK(fcntl(queue, F_SETFL, O_NONBLOCK) == 0);
	CHECK(pipe(pipe_ends) == 0);
	server = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(server >= 0 && bind(server, (struct sockaddr *)&address, sizeof address) == 0 && listen(server, 4) == 0);
}

static void connect_to_server(void)
{
	struct sockaddr_in address;
	socklen_t size = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(getsockname(server, (struct sockaddr *)&address, &size) == 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(connect(fd, (struct sockaddr *)&address, size) == 0);
}

static void expect_inotify(const char *name)
{
	char buffer[sizeof(struct inotify_event) + 256];
	const struct inotify_event *event = (void *)buffer;

	CHECK(read(queue, buffer, sizeof buffer) > 0);
	CHECK(!strcmp(event->name, name));
}

static void make_file(char letter)
{
	char name[] = { letter, '\0' };
	int fd = open(name, O_WRONLY | O_CREAT, 0600);

	CHECK(fd >= 0);
	close(fd);
}

/* What the instance before has left in each of them. */
static void find(char number)
{
	char byte, name[] = { number, '\0' };
	int fd = accept(server, NULL, NULL);

	CHECK(fd >= 0);
	close(fd);
	EQUAL(lseek(file, 0, SEEK_CUR), number);
	expect_inotify(name);
	CHECK(read(pipe_ends[0], &byte, 1) == 1);
	EQUAL(byte, number);
}

static void leave(char number)
{
	CHECK(write(file, "x", 1) == 1);
	make_file(number);
	CHECK(write(pipe_ends[1], &number, 1) == 1);
	connect_to_server();
}

static _Noreturn void instance(void)
{
	char generation = (char)rfork_generation();

	if (generation)
		find(generation);
	leave((char)(generation + 1));
	if (generation < RESTARTS)
		rfork_restart();
	_exit(0);
}

/* An end of a pipe of which the other is the instance's alone. */
static void released(void)
{
	struct rfork_options options = options_for_many();
	int rfd, path;
	char byte;
	pid_t pid;

	CHECK(mkfifo("fifo", 0600) == 0);
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0) {
		if (rfork_generation() == 1)
			for (;;)
				pause();
		path = open("fifo", O_WRONLY);
		CHECK(path >= 0);
		abort();
	}
	path = open("fifo", O_RDONLY);
	EQUAL(read(path, &byte, 1), 0);
	next_event(rfd, RFORK_EV_RESTART);
	stop_group(rfd);
}

int main(void)
{
	open_all();
	run_to_exit(instance, RESTARTS);
	released();
	return 0;
}
