/* SPDX-License-Identifier: MIT */
/* How an event log ends that an earlier runner has written, perhaps within a line. */
#include "run.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Both files are shorter, unless somebody has added to them. */
#define TAIL (2 * RUN_ROTATE_AT)

static uint64_t number_of(const char *line)
{
	return strncmp(line, RUN_PREFIX, strlen(RUN_PREFIX)) ? 0 : strtoull(line + strlen(RUN_PREFIX), NULL, 10);
}

/* Half a line is an event that was lost with its runner. Its number is used up, so that the reader counts it. */
static void note_torn(struct run_tail *tail, const char *line)
{
	size_t length = strlen(line), prefix = strlen(RUN_PREFIX);

	tail->torn = true;
	if (strncmp(line, RUN_PREFIX, length < prefix ? length : prefix) || !length)
		return;
	tail->number++;
	if (strchr(line + (length < prefix ? length : prefix), ' ') && number_of(line) > tail->number)
		tail->number = number_of(line);
}

static void look_at_lines(struct run_tail *tail, const char *text, size_t length, off_t from)
{
	const char *line = text, *end;

	tail->whole = from ? -1 : 0;
	for (; (end = memchr(line, '\n', length - (size_t)(line - text))); line = end + 1) {
		if (number_of(line) > tail->number)
			tail->number = number_of(line);
		tail->whole = from + (end + 1 - text);
	}
	if (line < text + length)
		note_torn(tail, line);
}

/* How a log ends that an earlier runner has written. */
struct run_tail run_tail_of(const char *path)
{
	struct run_tail tail = { 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END), from = size > TAIL ? size - TAIL : 0;
	char *text = fd < 0 ? NULL : malloc(TAIL + 1);
	ssize_t got = text ? pread(fd, text, TAIL, from) : 0;

	if (fd >= 0)
		close(fd);
	if (got > 0) {
		text[got] = '\0';
		look_at_lines(&tail, text, (size_t)got, from);
	}
	free(text);
	return tail;
}
