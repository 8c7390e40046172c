// SPDX-License-Identifier: MIT
/*
 * Koboshi's console records without Python: whole records from standard input to standard output, the counts to
 * standard error at the end. Exit status 0, or 1 if anything was garbled or lost. See docs/console.md.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARK "koboshi/1 "
#define LINE_MAX_BYTES 16384

static unsigned long records, garbled, lost, repeated;
static unsigned long long last_seq;
static int attached;

/* zlib's CRC-32, a bit at a time: a console is slow. */
static uint32_t crc32_of(const char *data, size_t size)
{
	uint32_t crc = 0xffffffffu;

	for (size_t i = 0; i < size; i++) {
		crc ^= (unsigned char)data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

/* Where the check's star is in a record that begins at `text`, or NULL if its check is missing or wrong. */
static const char *end_of(const char *text)
{
	const char *star = strstr(text, " *");
	char wanted[9];

	if (!star || strspn(star + 2, "0123456789abcdef") < 8)
		return NULL;
	snprintf(wanted, sizeof wanted, "%08x", (unsigned)crc32_of(text, (size_t)(star - text)));
	return strncmp(star + 2, wanted, 8) ? NULL : star;
}

/* Whether a number and a space follow, as they do in a record and in no path such as /etc/koboshi/1. */
static int has_seq(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits > 0 && digits <= 18 && text[digits] == ' ';
}

static void take(const char *text, const char *star)
{
	unsigned long long seq = strtoull(text + strlen(MARK), NULL, 10);
	const char *event = strchr(text + strlen(MARK), ' ');

	event = event ? strchr(event + 1, ' ') : NULL;
	if (event && (!strncmp(event, " boot ", 6) || event == star - 5)) {
		last_seq = 0;
		attached = 1;
	}
	if (!attached)
		last_seq = seq - 1;
	attached = 1;
	if (seq <= last_seq) {
		repeated++;
		return;
	}
	lost += (unsigned long)(seq - last_seq - 1);
	last_seq = seq;
	records++;
	printf("%.*s\n", (int)(star - text) + 10, text);
	fflush(stdout);
}

/* The last whole record of the line counts; a line with the beginning of one and no whole one is garbled. */
static void line(const char *text)
{
	const char *whole = NULL;
	int begun = 0;

	for (const char *at = strstr(text, MARK); at; at = strstr(at + 1, MARK)) {
		if (!has_seq(at + strlen(MARK)))
			continue;
		begun = 1;
		if (end_of(at))
			whole = at;
	}
	if (whole)
		take(whole, end_of(whole));
	else if (begun)
		garbled++;
}

int main(void)
{
	static char text[LINE_MAX_BYTES];
	size_t used = 0;
	int byte;

	while ((byte = getchar()) != EOF) {
		if (byte != '\n' && used < sizeof text - 1) {
			text[used++] = byte ? (char)byte : ' ';
			continue;
		}
		text[used] = '\0';
		line(text);
		used = 0;
	}
	text[used] = '\0';
	line(text);
	fprintf(stderr, "records %lu, garbled %lu, lost %lu, repeated %lu\n", records, garbled, lost, repeated);
	return garbled || lost ? 1 : 0;
}
