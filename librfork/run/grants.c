/* SPDX-License-Identifier: MIT */
/* The options about what a component is granted. */
#include "run.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void run_add_listen(struct run_config *config, const char *text)
{
	if (config->listen_count == RUN_MAX_LISTEN)
		run_misuse("--listen: more than %d", RUN_MAX_LISTEN);
	config->listen[config->listen_count++] = text;
}

void run_set_capabilities(struct run_config *config, const char *text)
{
	char *end;

	errno = 0;
	config->capabilities = strtoull(text, &end, 16);
	if (errno || end == text || *end)
		run_misuse("--capabilities: '%s' is no hexadecimal mask", text);
	config->limit_capabilities = true;
}

void run_add_grant(struct run_config *config, const char *path, bool write)
{
	if (config->grant_count == RUN_MAX_GRANTS)
		run_misuse("--read, --write: more than %d", RUN_MAX_GRANTS);
	if (*path != '/')
		run_misuse("--read, --write: '%s' is no absolute path", path);
	config->grants[config->grant_count++] = (struct run_grant){ path, write };
}

void run_add_mount(struct run_config *config, const char *path, bool hidden)
{
	if (config->mount_count == RUN_MAX_GRANTS)
		run_misuse("--hide, --read-only: more than %d", RUN_MAX_GRANTS);
	if (*path != '/' || !path[1])
		run_misuse("--hide, --read-only: '%s' is no absolute path below /", path);
	config->mounts[config->mount_count++] = (struct run_mount){ path, hidden };
}

void run_add_cgroup_set(struct run_config *config, char *text)
{
	if (!strchr(text, '=') || !strchr(text, '.') || strchr(text, '/'))
		run_misuse("--cgroup-set: '%s' is not FILE=VALUE, as memory.max=1000000", text);
	if (config->cgroup_set_count == RUN_MAX_SETTINGS)
		run_misuse("--cgroup-set: more than %d", RUN_MAX_SETTINGS);
	config->cgroup_set[config->cgroup_set_count++] = text;
}

void run_add_group(struct run_config *config, const char *name)
{
	if (config->more_group_count == RUN_MAX_GROUPS)
		run_misuse("--group: more than %d", RUN_MAX_GROUPS);
	config->more_groups[config->more_group_count++] = name;
}

/* Beside those that the user is in; for root too, once there is one. */
void run_find_more_groups(struct run_config *config)
{
	if (config->more_group_count && !config->group_count)
		config->groups[config->group_count++] = 0;
	for (unsigned int i = 0; i < config->more_group_count; i++) {
		if (config->group_count == RUN_MAX_GROUPS)
			run_misuse("--group: more than %d groups", RUN_MAX_GROUPS);
		if (!run_find_group(config->more_groups[i], &config->groups[config->group_count]))
			run_misuse("--group: '%s' is not in /etc/group", config->more_groups[i]);
		config->group_count++;
	}
}
