/* SPDX-License-Identifier: MIT */
/*
 * The last words of each instance: the end of its output, kept for the crash record before the news of its end is written.
 *
 * All instances write into one pipe, and the next one may have spoken before this process looks at it. So each instance that
 * executes the program begins with a mark in the pipe, and what follows a mark is not read until that instance's restart
 * has been. The mark has random bytes that no component sees. An instance from a checkpoint makes no mark.
 */
#include "run.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLOTS 8
#define SLOT 512		/* all of them in one page of a tmpfs */

static unsigned char mark[RUN_MARK];	/* its first byte is 0, no other is */
static char *path;		/* NULL: nothing is kept */

void run_words_open(const struct run_config *config)
{
	int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (read(fd, mark + 1, sizeof mark - 1) < 0)
			run_complain("read", "/dev/urandom", errno);
		close(fd);
	}
	for (size_t i = 1; i < sizeof mark; i++)
		mark[i] += mark[i] == 0;
	path = config->state ? run_state_path(config, "words") : NULL;
}

/* In an instance. Less than PIPE_BUF: it arrives in one piece. */
void run_words_mark(int pipe, uint64_t generation)
{
	char text[sizeof mark + sizeof generation];

	memcpy(text, mark, sizeof mark);
	memcpy(text + sizeof mark, &generation, sizeof generation);
	if (write(pipe, text, sizeof text) < 0)
		run_fail("write", "the output's pipe");
}

static void keep_end(struct run_words *w, const char *data, size_t length)
{
	size_t rest;

	if (length > sizeof w->last) {
		data += length - sizeof w->last;
		length = sizeof w->last;
	}
	rest = sizeof w->last - length < w->length ? sizeof w->last - length : w->length;
	memmove(w->last, w->last + w->length - rest, rest);
	memcpy(w->last + rest, data, length);
	w->length = rest + length;
}

static void say(struct runner *r, const char *data, size_t length, run_words_pass *pass)
{
	keep_end(&r->words, data, length);
	pass(r, data, length);
}

/* One byte of what may be a mark. */
static void match(struct runner *r, char c, run_words_pass *pass)
{
	struct run_words *w = &r->words;

	if (w->matched >= sizeof mark) {
		memcpy((char *)&w->generation + w->matched - sizeof mark, &c, 1);
		w->matched++;
	} else if ((unsigned char)c == mark[w->matched]) {
		w->matched++;
	} else {
		say(r, (const char *)mark, w->matched, pass);
		w->matched = c == '\0';
		if (!w->matched)
			say(r, &c, 1, pass);
	}
}

/* How much of it could be taken: what is behind the mark of an instance that has not begun yet waits. */
size_t run_words_take(struct runner *r, const char *data, size_t length, run_words_pass *pass)
{
	struct run_words *w = &r->words;
	size_t done = 0;

	while (done < length && !w->waits) {
		const char *zero = w->matched ? data + done : memchr(data + done, 0, length - done);
		size_t plain = zero ? (size_t)(zero - data) - done : length - done;

		if (plain)
			say(r, data + done, plain, pass);
		done += plain;
		if (zero)
			match(r, data[done++], pass);
		w->waits = w->matched == sizeof mark + sizeof w->generation;
		run_words_wait(r);
	}
	return done;
}

/* Whether the output has to wait for the news of a restart. */
bool run_words_wait(struct runner *r)
{
	struct run_words *w = &r->words;

	if (!w->waits || (w->generation > r->generation && !r->ended))
		return w->waits;
	w->waits = false;
	w->matched = 0;
	run_words_forget(r);
	return false;
}

/* Another instance speaks now. */
void run_words_forget(struct runner *r)
{
	r->words.length = 0;
}

/* With the number of the event that is recorded next. */
void run_words_keep(struct runner *r)
{
	struct run_words *w = &r->words;
	char slot[SLOT] = "";
	int fd, head;

	if (!path || !w->length)
		return;
	head = snprintf(slot, sizeof slot, "%llu %zu\n", (unsigned long long)r->log.number + 1, w->length);
	memcpy(slot + head, w->last, w->length);
	fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (pwrite(fd, slot, sizeof slot, (off_t)(w->kept++ % SLOTS * SLOT)) < 0)
		run_complain("write", path, errno);
	close(fd);
}
