/* SPDX-License-Identifier: MIT */
/* What a component says on a terminal: however it is split up, no line of it can be taken for somebody else's. */
#include "../../run/run.h"
#include "fuzz.h"
#include <regex.h>
#include <stdlib.h>
#include <string.h>

/* The desk's patterns (koboshi_desk/console/decoder.py). */
static const char pattern[] = "koboshi/[0-9]|koboshi-reply/[0-9]|\\[[ \t]*[0-9]+\\.[0-9]|@sh-[0-9a-f]{8}";

static void look(char *line, size_t length)
{
	static regex_t forged;
	static bool ready;

	MUST(ready || regcomp(&forged, pattern, REG_EXTENDED | REG_NOSUB) == 0);
	ready = true;
	MUST(length > 3 && !memcmp(line, "t: ", 3) && line[length - 1] == '\n');
	line[length - 1] = '\0';
	MUST(strlen(line) == length - 1);
	for (const char *c = line; *c; c++)
		MUST((unsigned char)*c >= ' ' || *c == '\t');
	MUST(!strchr(line, 0x7f) && !strstr(line, "\xc2\x9b"));
	MUST(regexec(&forged, line, 0, NULL, 0) == REG_NOMATCH);
}

static void give(struct run_lines *lines)
{
	/* In memory of its own, for the sanitizer to see its end. */
	char *out = malloc(RUN_MARKED_MAX);

	MUST(out);
	look(out, run_lines_give(lines, "t", out, RUN_MARKED_MAX));
	free(out);
}

/* The first byte: in how large pieces it comes. */
void fuzz_one(const char *data, size_t size)
{
	struct run_lines lines = { .length = 0 };
	size_t piece = size ? (unsigned char)data[0] + 1u : 1, taken;
	bool whole;

	for (size_t at = 1; at < size; at += taken) {
		taken = run_lines_take(&lines, data + at, size - at < piece ? size - at : piece, &whole);
		MUST(taken && lines.length <= RUN_LINE_MAX);
		if (whole)
			give(&lines);
	}
	give(&lines);
}
