/* SPDX-License-Identifier: MIT */
/*
 * PID 1 of the benchmarks' image: runs what bench="PROGRAM ARGUMENT..." on the kernel's command line names, from
 * /tests, prints "bench: status N" and restarts the machine.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define FOLDER "/tests/"
#define ARGUMENTS 32

static void mount_on(const char *type, const char *place)
{
	mkdir(place, 0755);
	if (mount(type, place, type, 0, NULL) < 0)
		printf("bench: mount %s: %s\n", place, strerror(errno));
}

static void bring_up_loopback(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		printf("bench: lo: %s\n", strerror(errno));
	close(fd);
}

static _Noreturn void become(char *line)
{
	char path[256], *arguments[ARGUMENTS + 1] = { NULL };
	int count = 0;

	for (char *part; count < ARGUMENTS && (part = strsep(&line, " "));)
		if (*part)
			arguments[count++] = part;
	if (!count)
		_exit(100);
	snprintf(path, sizeof path, FOLDER "%s", arguments[0]);
	execv(path, arguments);
	printf("bench: %s: %s\n", path, strerror(errno));
	fflush(stdout);
	_exit(127);
}

static int run(char *line)
{
	int status = -1;
	pid_t pid = fork(), ended;

	if (pid == 0)
		become(line);
	do
		ended = waitpid(-1, &status, 0);
	while (ended != pid && (ended > 0 || errno == EINTR));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + status;
}

int main(void)
{
	char *line = getenv("bench");

	mount_on("proc", "/proc");
	mount_on("tmpfs", "/tmp");
	bring_up_loopback();
	printf("bench: status %d\n", line ? run(line) : 100);
	fflush(stdout);
	tcdrain(STDOUT_FILENO);	/* the kernel's last words would overtake it */
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}
