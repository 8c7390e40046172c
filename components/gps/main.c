/* SPDX-License-Identifier: MIT */
/*
 * koboshi-gps: positions from a GPS receiver's NMEA 0183 sentences.
 *
 * An example of a C component: it opens what it needs, calls rfork_checkpoint(),
 * says that it is ready, and tells its heartbeat from the loop that does the work.
 * A crash comes back at the checkpoint: the port is open, the socket is bound,
 * and clients that connect meanwhile wait in its queue.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "nmea.h"
#include "notify.h"
#include "publish.h"
#include "rfork.h"

enum { WRONG_USE = 100, FAILED = 111 };

struct options {
	const char *port, *socket, *file;
};

static _Noreturn void usage(void)
{
	fprintf(stderr, "usage: koboshi-gps --port TTY|FIFO|FILE [--socket PATH] [--file PATH]\n");
	exit(WRONG_USE);
}

static _Noreturn void fail(const char *what, const char *name, int error)
{
	fprintf(stderr, "koboshi-gps: %s %s: %s\n", what, name, strerror(error));
	exit(FAILED);
}

static struct options parse(int argc, char **argv)
{
	static const struct option names[] = {
		{ "port", required_argument, NULL, 'p' },
		{ "socket", required_argument, NULL, 's' },
		{ "file", required_argument, NULL, 'f' },
		{ NULL, 0, NULL, 0 },
	};
	struct options options = { NULL, NULL, NULL };
	int option;

	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (option == 'p')
			options.port = optarg;
		else if (option == 's')
			options.socket = optarg;
		else if (option == 'f')
			options.file = optarg;
		else
			usage();
	}
	if (optind != argc || !options.port)
		usage();
	return options;
}

/* 9600 baud, 8 bits, no parity: what NMEA 0183 receivers speak. */
static int set_line(int fd)
{
	struct termios line;

	if (tcgetattr(fd, &line))
		return -errno;
	line.c_iflag = IGNBRK;
	line.c_oflag = 0;
	line.c_lflag = 0;
	line.c_cflag = CS8 | CREAD | CLOCAL;
	line.c_cc[VMIN] = 1;
	line.c_cc[VTIME] = 0;
	cfsetispeed(&line, B9600);
	cfsetospeed(&line, B9600);
	return tcsetattr(fd, TCSANOW, &line) ? -errno : 0;
}

static int open_port(const char *path)
{
	struct stat status;
	int fd, error;

	if (stat(path, &status))
		fail("cannot find", path, errno);
	/* Opened for both, a FIFO does not end when its writer goes. */
	fd = open(path, (S_ISREG(status.st_mode) ? O_RDONLY : O_RDWR) | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		fail("cannot open", path, errno);
	if (isatty(fd) && (error = set_line(fd)))
		fail("cannot set 9600 baud on", path, -error);
	return fd;
}

/* Returns false at the end of a file: there will be no more. */
static bool read_port(const struct options *options, int fd, struct nmea_reader *reader, struct publisher *publisher)
{
	char bytes[256];
	ssize_t count = read(fd, bytes, sizeof(bytes));
	int error;

	if (count < 0 && errno != EAGAIN && errno != EINTR)
		fail("cannot read", options->port, errno);
	if (count == 0 && isatty(fd))
		fail("lost", options->port, EIO);
	if (count > 0 && nmea_feed(reader, bytes, (size_t)count) > 0) {
		error = publish(publisher, reader);
		if (error)
			fail("cannot write", options->file, -error);
	}
	return count != 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A heartbeat that could not be told must not end a component that works. */
static int beat(int interval, int64_t *next)
{
	int64_t now = now_ms();

	if (interval < 0)
		return -1;
	if (now >= *next) {
		notify("WATCHDOG=1", false);
		*next = now + interval;
	}
	return (int)(*next - now);
}

static _Noreturn void serve(const struct options *options, int port, struct publisher *publisher)
{
	static struct nmea_reader reader;
	struct pollfd ready[2] = {
		{ .fd = port, .events = POLLIN },
		{ .fd = publisher->listener, .events = POLLIN },
	};
	int interval = notify_interval_ms();
	int64_t next = 0;

	for (;;) {
		int count = poll(ready, 2, beat(interval, &next));

		if (count < 0 && errno != EINTR)
			fail("cannot wait for", options->port, errno);
		if (count <= 0)
			continue;
		if (ready[1].revents)
			publish_accept(publisher);
		if (ready[0].revents && !read_port(options, port, &reader, publisher))
			ready[0].fd = -1;
	}
}

int main(int argc, char **argv)
{
	struct options options = parse(argc, argv);
	struct publisher publisher;
	int port = open_port(options.port);
	int error = publish_open(&publisher, options.file, options.socket);
	int64_t generation;

	if (error)
		fail("cannot listen at", options.socket, -error);
	generation = rfork_checkpoint();
	if (generation < 0)
		fprintf(stderr, "koboshi-gps: no checkpoint; a restart starts the program from the beginning: %s\n",
			strerror((int)-generation));
	else
		publisher.generation = generation;
	error = notify("READY=1", true);
	if (error)
		fail("cannot notify", getenv("NOTIFY_SOCKET"), -error);
	serve(&options, port, &publisher);
}
