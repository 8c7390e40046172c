/* SPDX-License-Identifier: MIT */
/* A terminal for the tests of rfork-run: tool_terminal LINK makes LINK a link to it, and copies what is written there to standard
 * output for ever. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave;
	struct termios raw;
	char data[4096];
	ssize_t got;

	if (argc != 2 || master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
		return 77;
	/* Open here too: without anybody at the other end, read(2) fails. */
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	if (slave < 0 || tcgetattr(slave, &raw) < 0)
		return 77;
	cfmakeraw(&raw);
	if (tcsetattr(slave, TCSANOW, &raw) < 0 || symlink(ptsname(master), argv[1]) < 0)
		return 111;
	while ((got = read(master, data, sizeof data)) > 0)
		if (write(STDOUT_FILENO, data, (size_t)got) != got)
			return 111;
	return 0;
}
