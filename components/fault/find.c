/* SPDX-License-Identifier: MIT */
/* Which process is a component: docs/runner.md (events) and docs/supervisor.md (status.json). */
#include "victim.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_MAX (1 << 20)

static pid_t number(const char *text)
{
	char *end;
	long value = strtol(text, &end, 10);

	return end != text && value > 0 && value <= 1 << 22 ? (pid_t)value : -1;
}

/* The last event with a PID; an `end` after it says that nothing runs. */
static pid_t from_events(const char *run, const char *name)
{
	char path[4096], line[4096];
	const char *at;
	pid_t pid = -1;
	FILE *events;

	snprintf(path, sizeof(path), "%s/%s/events", run, name);
	events = fopen(path, "re");
	if (!events)
		return -1;
	while (fgets(line, sizeof(line), events)) {
		at = strstr(line, " pid=");
		if (at)
			pid = number(at + 5);
		else if (strstr(line, " end "))
			pid = -1;
	}
	fclose(events);
	return pid;
}

/* The value after `"key":` at or after text, with or without spaces; NULL: no such key. */
static char *value_of(char *text, const char *key)
{
	char quoted[80];
	char *at = text;

	snprintf(quoted, sizeof(quoted), "\"%s\"", key);
	while ((at = strstr(at, quoted))) {
		at += strlen(quoted);
		at += strspn(at, " \n");
		if (*at == ':') /* the same word may be a value elsewhere, in "needs" */
			return at + 1 + strspn(at + 1, " \n");
	}
	return NULL;
}

/* No JSON parser: the form is the supervisor's own, one object for each component, with "restarts" inside it. */
static pid_t from_status(const char *run, const char *name)
{
	static char text[STATUS_MAX + 1];
	char path[4096];
	char *at, *pid;
	FILE *status;

	snprintf(path, sizeof(path), "%s/status.json", run);
	status = fopen(path, "re");
	if (!status)
		return -1;
	text[fread(text, 1, STATUS_MAX, status)] = '\0';
	fclose(status);
	at = value_of(text, "components");
	at = at ? value_of(at, name) : NULL;
	pid = at ? value_of(at, "pid") : NULL;
	return pid ? number(pid) : -1;
}

pid_t victim_find(const char *run, const char *text)
{
	bool digits = text[strspn(text, "0123456789")] == '\0';
	pid_t pid;

	if (digits)
		return number(text);
	if (strlen(text) > 32 || strchr(text, '/'))
		return -1;
	pid = from_events(run, text);
	return pid > 0 ? pid : from_status(run, text);
}
