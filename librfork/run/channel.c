/* SPDX-License-Identifier: MIT */
/* An instance's end of the channel that execute.c opens, until its exec closes it. */
#include "run.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static int channel = -1;

void run_channel_set(int fd)
{
	channel = fd;
}

int run_channel(void)
{
	return channel;
}

/* Returns when the runner has seen to it that this instance's end causes no restart. Does nothing in the runner itself. */
void run_channel_fail(const char *text)
{
	char c;

	if (channel < 0)
		return;
	send(channel, text, strlen(text), MSG_NOSIGNAL);
	shutdown(channel, SHUT_WR);
	while (recv(channel, &c, 1, 0) > 0 || errno == EINTR)
		errno = 0;
}
