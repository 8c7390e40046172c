/* SPDX-License-Identifier: MIT */
/* What the component's environment has besides the runner's own. A command line is for everybody to read in /proc, so what
 * others must not know comes over a descriptor. */
#include "run.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST (1 << 20)

void run_add_environment(struct run_config *config, char *text)
{
	if (!strchr(text, '=') || *text == '=')
		run_misuse("--env: '%s' is not K=V", text);
	if (config->environment_count == RUN_MAX_SETTINGS)
		run_misuse("--env: more than %d", RUN_MAX_SETTINGS);
	config->environment[config->environment_count++] = text;
}

static size_t read_all(int fd, char *to, size_t size)
{
	size_t done = 0;
	ssize_t got;

	while (done < size && ((got = read(fd, to + done, size - done)) > 0 || (got < 0 && errno == EINTR)))
		done += got > 0 ? (size_t)got : 0;
	if (done < size && got < 0)
		run_fail("read", "--env-fd");
	return done;
}

/* K=V, each with a NUL after it. The texts stay in use. */
void run_read_environment(struct run_config *config, int fd)
{
	char *text = malloc(MOST), *end;

	if (!text)
		run_fail("malloc", "--env-fd");
	end = text + read_all(fd, text, MOST);
	close(fd);
	if (end > text && (end == text + MOST || end[-1]))
		run_misuse("--env-fd: longer than %d bytes, or no NUL at the end", MOST);
	/* What was not used is given back: the component's image would have it too. */
	for (char *one = text; one < end; one += strlen(one) + 1) {
		char *kept = strdup(one);

		if (!kept)
			run_fail("strdup", "--env-fd");
		run_add_environment(config, kept);
	}
	memset(text, 0, (size_t)(end - text));
	free(text);
}
