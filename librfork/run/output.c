/* SPDX-License-Identifier: MIT */
/* The component's output is kept short: it lies on a tmpfs that the whole device needs. A component
 * inherits its descriptor, so the file cannot be exchanged under it; it is emptied, and O_APPEND lets the
 * next line be the first. */
#include "run.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define OUTPUT_MOST (256 * 1024)
/* After something was written: one look for all that is written until then. */
#define LOOK_NS (100 * RFORK_NSEC_PER_MSEC)
/* How often, where the kernel cannot tell that something was written. */
#define BLIND_LOOK_NS (10000 * RFORK_NSEC_PER_MSEC)

/* Told once of the next write, so that a component that says much does not wake us for each line. */
static bool watch_once(struct runner *r)
{
	return r->output >= 0 && inotify_add_watch(r->output, r->config->output, IN_MODIFY | IN_ONESHOT) >= 0;
}

static void look(struct runner *r)
{
	struct stat st;
	bool watched = watch_once(r);	/* before the look: what comes after it is told */

	r->look_at = watched ? 0 : rfork_now() + BLIND_LOOK_NS;
	if (stat(r->config->output, &st) == 0 && st.st_size > OUTPUT_MOST && truncate(r->config->output, 0) < 0)
		run_complain("truncate", r->config->output, errno);
}

void run_output_open(struct runner *r)
{
	struct stat st;
	int fd;

	r->output = -1;
	if (!r->config->output)
		return;
	fd = open(r->config->output, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		if (fd >= 0)
			close(fd);
		return;	/* a console, or the instance will say what is wrong */
	}
	close(fd);
	r->output = inotify_init();
	if (r->output >= 0) {
		fcntl(r->output, F_SETFD, FD_CLOEXEC);
		fcntl(r->output, F_SETFL, O_NONBLOCK);
	}
	look(r);
}

/* poll(2) says that something was written. */
void run_output_written(struct runner *r)
{
	char events[512];

	while (read(r->output, events, sizeof events) > 0)
		;
	if (!r->look_at)
		r->look_at = rfork_now() + LOOK_NS;
}

void run_output_check(struct runner *r)
{
	if (r->look_at && rfork_now() >= r->look_at)
		look(r);
}
