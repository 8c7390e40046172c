/* SPDX-License-Identifier: MIT */
/* The component's output: all instances write into one pipe, which rfork-run empties into a ring of two files or onto
 * a line. So nothing is lost at a restart, what lies on a tmpfs stays short, and who says too much is cut short. */
#include "path.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HALF (128 * 1024)	/* of the ring: FILE and FILE.1 */
#define TURN 16			/* chunks, then something else has its turn */
#define FILE_RATE (256 * 1024)	/* bytes a second */
#define LINE_RATE 2048		/* a line has other things to carry */
#define BURST_S 4

#define HALF_LINE_NS (200 * RFORK_NSEC_PER_MSEC)
#define REOPEN_NS (1000 * RFORK_NSEC_PER_MSEC)

/* FILE becomes FILE.1, unless somebody has removed or moved it. False: it stays. */
static bool set_aside(const struct run_config *config)
{
	struct run_place place;
	char old[sizeof place.name + 2];
	bool aside;

	if (!run_path_find(config, -1, config->output, true, &place))
		return false;
	snprintf(old, sizeof old, "%s.1", place.name);
	aside = renameat(place.folder, place.name, place.folder, old) == 0 || errno == ENOENT;
	run_path_leave(&place);
	return aside;
}

/* What an instance says is for its user and for root. */
static int open_once(const struct run_config *config, int more)
{
	return run_path_open(config, config->output, O_WRONLY | O_CREAT | O_APPEND | more, 0640);
}

/* In the component's own folder there may be a file of root's, which its user can put aside and not write. */
static int open_sink(const struct run_config *config)
{
	int fd = open_once(config, O_NONBLOCK);

	return fd < 0 && errno == EACCES && set_aside(config) ? open_once(config, O_NONBLOCK) : fd;
}

/* A device that swallows everything, a FIFO: the instance has it directly. */
static bool is_captured(int fd, struct run_capture *c)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return false;
	c->is_file = S_ISREG(st.st_mode);
	c->size = c->is_file ? st.st_size : 0;
	return c->is_file || isatty(fd);
}

void run_output_open(struct run_config *config, struct run_capture *c)
{
	config->output_pipe[0] = config->output_pipe[1] = -1;
	c->sink = -1;
	if (!config->output)
		return;
	c->sink = open_sink(config);
	if (c->sink < 0 && run_path_refused())
		run_path_fail("output");
	if (!is_captured(c->sink, c)) {
		if (c->sink >= 0)
			close(c->sink);
		c->sink = -1;
		return;
	}
	if (pipe(config->output_pipe) < 0)
		run_fail("pipe", "");
	config->output_pipe[0] = run_high_fd(config->output_pipe[0]);
	config->output_pipe[1] = run_high_fd(config->output_pipe[1]);
	fcntl(config->output_pipe[0], F_SETFL, O_NONBLOCK);
	c->rate = config->output_rate ? config->output_rate : c->is_file ? FILE_RATE : LINE_RATE;
	c->tokens = c->rate * BURST_S;
	c->refilled = rfork_now();
}

/* What the component has put in the file's place meanwhile is refused, and its output left out until it is gone. */
static void reopen(const struct run_config *config, struct run_capture *c)
{
	struct stat st;

	c->sink = open_sink(config);
	if (c->sink >= 0 && (fstat(c->sink, &st) < 0 || !S_ISREG(st.st_mode))) {
		close(c->sink);
		c->sink = -1;
		run_path_refuse(config->output, "is not a file");
	}
	c->size = c->sink >= 0 ? st.st_size : 0;
	if (c->sink < 0 && !c->reopen_at)
		run_path_complain("output");
	c->reopen_at = c->sink < 0 ? rfork_now() + REOPEN_NS : 0;
}

static void rotate(const struct run_config *config, struct run_capture *c)
{
	if (set_aside(config)) {
		close(c->sink);
		reopen(config, c);
	} else if (ftruncate(c->sink, 0) == 0) {	/* it must stay short all the same */
		c->size = 0;
	}
}

/* Once for each reason. */
static void note_loss(const struct run_config *config, struct run_capture *c, int error)
{
	if (error && error != c->error)
		run_complain("write", config->output, error);
	c->error = error;
}

static void put(const struct run_config *config, struct run_capture *c, const char *data, size_t length)
{
	ssize_t written;

	if (c->sink >= 0 && c->is_file && c->size && c->size + (off_t)length > HALF)
		rotate(config, c);
	else if (c->sink < 0 && rfork_now() >= c->reopen_at)
		reopen(config, c);
	if (c->sink < 0) {
		c->dropped += length;
		return;
	}
	errno = ENOSPC;		/* for a part */
	written = write(c->sink, data, length);
	if (written > 0)
		c->size += written;
	note_loss(config, c, written == (ssize_t)length ? 0 : errno);
	c->dropped += length - (written > 0 ? (size_t)written : 0);
}

static void put_line(const struct run_config *config, struct run_capture *c)
{
	char marked[RUN_MARKED_MAX];

	c->due = 0;
	put(config, c, marked, run_lines_give(&c->lines, config->name, marked, sizeof marked));
}

/* Others write on the same line: the supervisor its records, the kernel its messages, other components. */
static void put_lines(const struct run_config *config, struct run_capture *c, const char *data, size_t length)
{
	size_t taken;
	bool whole;

	for (; length; data += taken, length -= taken) {
		taken = run_lines_take(&c->lines, data, length, &whole);
		if (whole)
			put_line(config, c);
		else if (c->lines.length && !c->due)
			c->due = rfork_now() + HALF_LINE_NS;
	}
}

static void refill(struct run_capture *c)
{
	uint64_t now = rfork_now(), most = c->rate * BURST_S;
	uint64_t more = (now - c->refilled) / RFORK_NSEC_PER_MSEC * c->rate / 1000;

	if (!more)
		return;
	c->tokens = c->tokens + more < most ? c->tokens + more : most;
	c->refilled = now;
}

static void take(const struct run_config *config, struct run_capture *c, const char *data, size_t length)
{
	char said[64 + RUN_NAME_MAX];
	uint64_t dropped = c->dropped;

	refill(c);
	if (c->tokens < length) {
		c->dropped += length;
		return;
	}
	c->tokens -= length;
	if (dropped) {
		c->dropped = 0;
		put(config, c, said, (size_t)snprintf(said, sizeof said, "\n%s%s[%llu bytes left out]\n", c->is_file ? "" : config->name,
						      c->is_file ? "" : ": ", (unsigned long long)dropped));
	}
	if (c->is_file)
		put(config, c, data, length);
	else
		put_lines(config, c, data, length);
}

/* The end of a line has not come yet, and may never. */
void run_output_flush(struct runner *r)
{
	if (r->capture.due)
		put_line(r->config, &r->capture);
}

void run_output_check(struct runner *r)
{
	if (r->capture.due && rfork_now() >= r->capture.due)
		put_line(r->config, &r->capture);
}

static void pass_on(struct runner *r, const char *data, size_t length)
{
	take(r->config, &r->capture, data, length);
}

/* False: there is no more for now. */
static bool drain_once(struct runner *r)
{
	struct run_capture *c = &r->capture;
	size_t done;
	ssize_t got;

	if (!c->held_length) {
		got = read(r->config->output_pipe[0], c->held, sizeof c->held);
		c->held_length = got > 0 ? (size_t)got : 0;
	}
	done = run_words_take(r, c->held, c->held_length, pass_on);
	c->held_length -= done;
	memmove(c->held, c->held + done, c->held_length);
	return done && !run_words_wait(r);
}

/* Before an event is recorded: an instance's last words come before the news of its end, and the next one's first words after
 * it. */
void run_output_drain(struct runner *r)
{
	if (r->config->output_pipe[0] < 0 || run_words_wait(r))
		return;
	for (int i = 0; i < TURN && drain_once(r); i++)
		;
}

/* In an instance. */
void run_output_give(const struct run_config *config, uint64_t generation)
{
	int fd = config->output_pipe[1];

	if (!config->output)
		return;
	if (fd >= 0 && generation)
		run_words_mark(fd, generation);
	if (fd < 0)
		fd = open_once(config, 0);
	if (fd < 0)
		run_path_fail("output");
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
}
