/* SPDX-License-Identifier: MIT */
/* /etc/passwd and /etc/group, read here: the C library's own way may load modules,
 * which a static program cannot count on. */
#include "run.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS 4

/* Splits a line at its colons; false if there are fewer than FIELDS. */
static bool split(char *line, char *fields[FIELDS])
{
	line[strcspn(line, "\n")] = '\0';
	for (int i = 0; i < FIELDS; i++) {
		fields[i] = line;
		line = line ? strchr(line, ':') : NULL;
		if (!line)
			return i == FIELDS - 1;
		*line++ = '\0';
	}
	return true;
}

static bool find_primary(struct run_config *config)
{
	FILE *file = fopen("/etc/passwd", "re");
	char line[1024], *fields[FIELDS];
	bool found = false;

	while (file && !found && fgets(line, sizeof line, file)) {
		if (!split(line, fields) || strcmp(fields[0], config->user))
			continue;
		config->uid = (uid_t)strtoul(fields[2], NULL, 10);
		config->gid = (gid_t)strtoul(fields[3], NULL, 10);
		found = true;
	}
	if (file)
		fclose(file);
	return found;
}

static bool lists(char *members, const char *user)
{
	for (char *name = strtok(members, ","); name; name = strtok(NULL, ","))
		if (!strcmp(name, user))
			return true;
	return false;
}

static void find_supplementary(struct run_config *config)
{
	FILE *file = fopen("/etc/group", "re");
	char line[4096], *fields[FIELDS];

	config->groups[config->group_count++] = config->gid;
	while (file && config->group_count < RUN_MAX_GROUPS && fgets(line, sizeof line, file)) {
		gid_t gid;

		if (!split(line, fields))
			continue;
		gid = (gid_t)strtoul(fields[2], NULL, 10);
		if (gid != config->gid && lists(fields[3], config->user))
			config->groups[config->group_count++] = gid;
	}
	if (file)
		fclose(file);
}

bool run_find_group(const char *name, gid_t *gid)
{
	FILE *file = fopen("/etc/group", "re");
	char line[4096], *fields[FIELDS];
	bool found = false;

	while (file && !found && fgets(line, sizeof line, file)) {
		found = split(line, fields) && !strcmp(fields[0], name);
		if (found)
			*gid = (gid_t)strtoul(fields[2], NULL, 10);
	}
	if (file)
		fclose(file);
	return found;
}

bool run_find_user(struct run_config *config)
{
	if (!find_primary(config))
		return false;
	find_supplementary(config);
	return true;
}
