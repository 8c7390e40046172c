/* SPDX-License-Identifier: MIT */
/* NMEA 0183: GGA (position, altitude, quality) and RMC (position, date, speed, course). */
#include "nmea.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FIELDS 24

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* "$...*HH": the exclusive or of all characters between. Cuts the line before "*". */
static bool checksum_right(char *line)
{
	unsigned char sum = 0;
	char *at = line + 1;
	int high, low;

	if (line[0] != '$')
		return false;
	for (; *at && *at != '*'; at++)
		sum ^= (unsigned char)*at;
	if (*at != '*')
		return false;
	high = hex_digit(at[1]);
	low = high < 0 ? -1 : hex_digit(at[2]);
	if (low < 0 || at[3] != '\0' || sum != (unsigned int)(high * 16 + low))
		return false;
	*at = '\0';
	return true;
}

static int split(char *line, char *fields[MAX_FIELDS])
{
	int count = 0;

	while (line && count < MAX_FIELDS)
		fields[count++] = strsep(&line, ",");
	return count;
}

/* strtod would also take "nan", "inf" and "0x10", which no receiver means. */
static bool number(const char *text, double low, double high, double *value)
{
	char *end;
	double parsed;

	if (text[strspn(text, "+-.0123456789")] != '\0')
		return false;
	parsed = strtod(text, &end);
	if (end == text || *end != '\0' || parsed < low || parsed > high)
		return false;
	*value = parsed;
	return true;
}

/* A field that a receiver may leave empty: *value stays as it is. */
static bool optional(const char *text, double low, double high, double *value)
{
	return *text == '\0' || number(text, low, high, value);
}

/* "ddmm.mmmm" or "dddmm.mmmm" and a letter. */
static bool angle(const char *text, const char *letter, const char *letters, double limit, double *degrees)
{
	double raw, whole, minutes;

	if (strlen(letter) != 1 || !strchr(letters, letter[0]) || !number(text, 0, 18000, &raw))
		return false;
	whole = (double)(int)(raw / 100);
	minutes = raw - whole * 100;
	if (minutes >= 60 || whole + minutes / 60 > limit)
		return false;
	*degrees = (letter[0] == letters[1] ? -1 : 1) * (whole + minutes / 60);
	return true;
}

static bool position(char **field, struct gps_fix *fix)
{
	return angle(field[0], field[1], "NS", 90, &fix->latitude) &&
	       angle(field[2], field[3], "EW", 180, &fix->longitude);
}

/* "hhmmss.ss" and "ddmmyy"; years 80..99 are of the last century, as receivers count. */
static bool date_time(const char *time, const char *date, char out[32])
{
	unsigned int hour, minute, day, month, year;
	double second;

	if (strlen(time) < 6 || strlen(date) != 6 || date[strspn(date, "0123456789")] != '\0' ||
	    strspn(time, "0123456789") < 6 || !number(time + 4, 0, 60.999, &second))
		return false;
	if (sscanf(time, "%2u%2u", &hour, &minute) != 2 || sscanf(date, "%2u%2u%2u", &day, &month, &year) != 3)
		return false;
	if (hour > 23 || minute > 59 || day < 1 || day > 31 || month < 1 || month > 12)
		return false;
	year += year >= 80 ? 1900 : 2000;
	snprintf(out, 32, "%04u-%02u-%02uT%02u:%02u:%02uZ", year % 10000, month, day, hour, minute,
		 (unsigned int)second);
	return true;
}

static bool take_gga(char **field, int count, struct gps_fix *fix)
{
	struct gps_fix next = *fix;
	double satellites = 0, quality = 0;

	if (count < 10 || !optional(field[6], 0, 9, &quality))
		return false;
	next.valid = quality > 0;
	if (next.valid && !position(field + 2, &next))
		return false;
	if (!optional(field[7], 0, 99, &satellites) || !optional(field[8], 0, 100, &next.hdop) ||
	    !optional(field[9], -1000, 100000, &next.altitude_m))
		return false;
	next.satellites = (int)satellites;
	*fix = next;
	return true;
}

static bool take_rmc(char **field, int count, struct gps_fix *fix)
{
	struct gps_fix next = *fix;

	if (count < 10)
		return false;
	next.valid = strcmp(field[2], "A") == 0;
	if (!next.valid && strcmp(field[2], "V") != 0)
		return false;
	if (next.valid && (!position(field + 3, &next) || !date_time(field[1], field[9], next.time)))
		return false;
	if (!optional(field[7], 0, 2000, &next.speed_kn) || !optional(field[8], 0, 360, &next.course))
		return false;
	*fix = next;
	return true;
}

bool nmea_line(struct gps_fix *fix, char *line, bool *changed)
{
	char *field[MAX_FIELDS];
	int count;
	bool right = true;

	*changed = false;
	if (!checksum_right(line))
		return false;
	count = split(line + 1, field);
	/* The first two letters name the kind of receiver: GP, GN, GL, ... */
	if (strlen(field[0]) != 5)
		return true;
	if (strcmp(field[0] + 2, "GGA") == 0)
		*changed = right = take_gga(field, count, fix);
	else if (strcmp(field[0] + 2, "RMC") == 0)
		*changed = right = take_rmc(field, count, fix);
	return right;
}

static int end_of_line(struct nmea_reader *reader)
{
	bool changed = false;

	if (reader->overlong)
		reader->garbled++;
	else if (reader->length > 0) {
		reader->line[reader->length] = '\0';
		/* A NUL inside would hide the rest of the line from the string functions. */
		if (strlen(reader->line) == reader->length && nmea_line(&reader->fix, reader->line, &changed))
			reader->sentences++;
		else
			reader->garbled++;
	}
	reader->length = 0;
	reader->overlong = false;
	return changed;
}

int nmea_feed(struct nmea_reader *reader, const char *bytes, size_t count)
{
	int changed = 0;

	for (size_t i = 0; i < count; i++) {
		if (bytes[i] == '\n' || bytes[i] == '\r')
			changed += end_of_line(reader);
		else if (reader->length == NMEA_MAX)
			reader->overlong = true;
		else
			reader->line[reader->length++] = bytes[i];
	}
	return changed;
}
