/* SPDX-License-Identifier: MIT */
/* The order in which the OOM killer takes processes: the runner and what keeps the supervisor come last, and a
 * component gets back what the runner was started with, but never less than 0. */
#include "run.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One above the lowest, which would mean "never": with nothing that it may kill, the kernel panics. */
static const struct { const char *path, *last; } scales[] = {
	{ "/proc/self/oom_score_adj", "-999" },
	{ "/proc/self/oom_adj", "-16" },	/* before Linux 2.6.36 */
};
#define SCALES (sizeof scales / sizeof *scales)

static size_t scale = SCALES;	/* the one that this kernel has; SCALES: /proc has none */
static int usual;

static bool current(const char *path, int *value)
{
	char text[16];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

	if (fd >= 0)
		close(fd);
	if (got <= 0)
		return false;
	text[got] = '\0';
	*value = atoi(text);
	return true;
}

static int set(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

/* Needs CAP_SYS_RESOURCE; without it the order stays as it is. */
void run_oom_last(void)
{
	int now;

	for (scale = 0; scale < SCALES; scale++)
		if (current(scales[scale].path, &now))
			break;
	if (scale == SCALES)
		return;
	usual = now > 0 ? now : 0;
	if (now > atoi(scales[scale].last))
		set(scales[scale].path, scales[scale].last);
}

/*
 * In an instance, while it has the runner's privileges: only with CAP_SYS_RESOURCE does this also raise the least value
 * that the component may set later. Before it enters its control group, whose OOM killer would pass it by.
 */
void run_oom_usual(void)
{
	char text[16];
	int now, rc;

	if (scale == SCALES || !current(scales[scale].path, &now) || now == usual)
		return;
	snprintf(text, sizeof text, "%d", usual);
	rc = set(scales[scale].path, text);
	if (rc < 0) {
		errno = -rc;
		run_fail("set", scales[scale].path);
	}
}
