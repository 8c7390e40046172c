/* SPDX-License-Identifier: MIT */
/*
 * What a component says on a terminal, which may be the console that carries records and the kernel's messages: each line
 * begins with the component's name, and holds neither control characters nor what could be taken for one of those. A
 * backslash breaks that, and stays visible. Only whole lines are written, so that no two writers make a record together.
 */
#include "run.h"
#include <stdio.h>
#include <string.h>

/* How the characters of UTF-8 begin that may be C1 controls, as escape sequences of one byte. */
#define C1_LEAD 0xc2

static unsigned int rest_of(unsigned char lead)
{
	return lead >= 0xf0 && lead < 0xf5 ? 3 : lead >= 0xe0 && lead < 0xf0 ? 2 : lead >= 0xc2 && lead < 0xe0 ? 1 : 0;
}

/* The byte itself, or '?' for one that would move the cursor, or do worse. */
static char harmless(struct run_lines *l, unsigned char c)
{
	bool continues = c >= 0x80 && c < 0xc0 && l->rest && !(l->control && c < 0xa0);

	l->rest = continues ? l->rest - 1 : rest_of(c);
	l->control = c == C1_LEAD;
	if (c < 0x80)
		return c == '\t' || (c >= ' ' && c < 0x7f) ? (char)c : '?';
	return continues || l->rest ? (char)c : '?';
}

/* Takes up to the end of a line, or to what makes one too long. *whole: give it out now. */
size_t run_lines_take(struct run_lines *l, const char *data, size_t length, bool *whole)
{
	size_t i;

	*whole = false;
	for (i = 0; i < length && !*whole; i++) {
		bool second = data[i] == '\n' && l->returned && !l->length;

		l->returned = data[i] == '\r';
		if (second)
			continue;
		*whole = data[i] == '\n' || data[i] == '\r';
		if (!*whole)
			l->text[l->length++] = harmless(l, (unsigned char)data[i]);
		if (l->length == sizeof l->text)
			*whole = l->returned = true;	/* an end that comes right now is this one's */
	}
	return i;
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "[", blanks, digits, '.', a digit: a tab may become blanks on its way. */
static bool is_stamp(const char *text, const char *end)
{
	if (*text++ != '[')
		return false;
	while (text < end && (*text == ' ' || *text == '\t'))
		text++;
	if (text == end || !digit(*text))
		return false;
	while (text < end && digit(*text))
		text++;
	return text + 1 < end && *text == '.' && digit(text[1]);
}

/* Before how many bytes from here a backslash has to be; 0: it is harmless. */
static size_t breaks_after(const char *text, const char *end)
{
	static const char *const marks[] = { "koboshi/", "koboshi-reply/", "@sh-" };

	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
		size_t length = strlen(marks[i]);

		if ((size_t)(end - text) > length && !memcmp(text, marks[i], length) &&
		    (digit(text[length]) || (text[length] >= 'a' && text[length] <= 'f' && i == 2)))
			return length;
	}
	return is_stamp(text, end) ? 1 : 0;
}

/* The line with its name and its end. `size` is RUN_MARKED_MAX: at the worst each byte gets a backslash. */
size_t run_lines_give(struct run_lines *l, const char *name, char *out, size_t size)
{
	size_t used = (size_t)snprintf(out, size, "%s: ", name), until = 0;
	const char *end = l->text + l->length;

	for (const char *at = l->text; at < end; at++) {
		size_t after = breaks_after(at, end);

		out[used++] = *at;
		if (after)
			until = after;
		if (until && !--until)
			out[used++] = '\\';
	}
	out[used++] = '\n';
	l->length = 0;
	l->rest = 0;
	l->control = false;
	return used;
}
