/* SPDX-License-Identifier: MIT */
/* When a runner is killed, its component is killed too, but a moment later. The lock does not
 * tell after a checkpoint: that image was made without it. So the instance last written down is
 * waited for, known by its PID and by having begun before that line was written. */
#include "run.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAIT_NS (5000 * RFORK_NSEC_PER_MSEC)
#define RETRY_MS 10
#define TAIL 4096

/* The PID in the last line that has one, and when that line was written; 0: there is none. */
static pid_t last_instance(const char *path, double *when)
{
	char tail[TAIL + 1], *line;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	ssize_t got = fd < 0 ? 0 : pread(fd, tail, TAIL, end > TAIL ? end - TAIL : 0);
	pid_t pid = 0;

	if (fd >= 0)
		close(fd);
	if (got <= 0)
		return 0;
	tail[got] = '\0';
	for (line = tail; line; line = strchr(line, '\n')) {
		char *key, *stop;
		double time;

		line += *line == '\n';
		stop = strchr(line, '\n');
		key = strstr(line, " pid=");
		if (!stop)
			break;
		if (key && key < stop && sscanf(line, "rfork-run/1 %*u %lf", &time) == 1) {
			pid = (pid_t)strtol(key + 5, NULL, 10);
			*when = time;
		}
	}
	return pid;
}

/* Is it there, not a zombie, and no other process with its PID? */
static bool still_runs(pid_t pid, double when)
{
	char path[32], stat[1024], state, *name_end;
	unsigned long long begun;
	ssize_t got;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	got = read(fd, stat, sizeof stat - 1);
	close(fd);
	stat[got > 0 ? got : 0] = '\0';
	name_end = strrchr(stat, ')');
	if (!name_end || sscanf(name_end + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
				"%*d %*d %llu", &state, &begun) != 2)
		return false;
	return state != 'Z' && state != 'X' && (double)begun / (double)sysconf(_SC_CLK_TCK) <= when;
}

void run_previous_wait(const struct run_config *config)
{
	uint64_t deadline = rfork_now() + WAIT_NS;
	double when = 0;
	char *path;
	pid_t pid;

	if (!config->state)
		return;
	path = run_state_path(config, "events");
	pid = last_instance(path, &when);
	if (!pid) {	/* it was killed right after a rotation, which a full disk makes longer */
		free(path);
		path = run_state_path(config, "events.1");
		pid = last_instance(path, &when);
	}
	while (pid && still_runs(pid, when)) {
		if (rfork_now() > deadline) {
			fprintf(stderr, "rfork-run: %s: its last instance, %d, still runs\n", path, (int)pid);
			exit(RUN_SYSTEM);
		}
		poll(NULL, 0, RETRY_MS);
	}
	free(path);
}
