/* SPDX-License-Identifier: MIT */
/* A control group of the component's own: its limits, and no process of it that outlives it. The group itself stays:
 * what the component has left on a tmpfs, in shared memory or in the page cache is charged to it, and a new group would
 * let each start fill as much again. Where it cannot be
 * emptied, sweep.c does what can be done. */
#include "run.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define EMPTY_MS 2000
#define LOOK_MS 1

static int put(const char *folder, const char *file, const char *text)
{
	char path[512];
	int fd, rc;

	snprintf(path, sizeof path, "%s/%s", folder, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

static bool is_empty(const char *folder)
{
	char path[512], text[128];
	ssize_t got;
	int fd;

	snprintf(path, sizeof path, "%s/cgroup.events", folder);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true;
	got = read(fd, text, sizeof text - 1);
	close(fd);
	text[got > 0 ? got : 0] = '\0';
	return !strstr(text, "populated 1");
}

/* The controllers of the limits, in the folder above and in the one above that. */
static void enable(const struct run_config *config, const char *parent)
{
	char above[512], *slash;

	snprintf(above, sizeof above, "%s", parent);
	slash = strrchr(above, '/');
	if (slash)
		*slash = '\0';
	for (unsigned int i = 0; i < config->cgroup_set_count; i++) {
		char text[32];

		snprintf(text, sizeof text, "+%.*s", (int)strcspn(config->cgroup_set[i], "."), config->cgroup_set[i]);
		put(above, "cgroup.subtree_control", text);
		put(parent, "cgroup.subtree_control", text);
	}
}

static void kill_all(const char *folder)
{
	if (put(folder, "cgroup.kill", "1") < 0)
		return;
	for (int waited = 0; !is_empty(folder) && waited < EMPTY_MS; waited += LOOK_MS)
		poll(NULL, 0, LOOK_MS);
}

/* A limit of an earlier start that is not among today's. A file is missing where its controller is not enabled. */
static void lift(const struct run_config *config)
{
	static const char *const known[] = { "memory.high", "memory.max", "memory.swap.max", "pids.max", "cpu.max" };

	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		size_t length = strlen(known[i]);
		bool wanted = false;

		for (unsigned int j = 0; j < config->cgroup_set_count; j++)
			wanted |= !strncmp(config->cgroup_set[j], known[i], length) && config->cgroup_set[j][length] == '=';
		if (!wanted)
			put(config->cgroup, known[i], "max");
	}
}

/* Made, or taken over with all that is charged to it, and emptied of the processes that a killed runner has left. */
void run_cgroup_open(struct run_config *config)
{
	char parent[512], *slash;

	if (!config->cgroup)
		return;
	snprintf(parent, sizeof parent, "%s", config->cgroup);
	slash = strrchr(parent, '/');
	if (slash)
		*slash = '\0';
	mkdir(parent, 0755);
	if (mkdir(config->cgroup, 0755) < 0 && errno != EEXIST)
		return;
	config->cgroup_made = access(config->cgroup, W_OK) == 0;
	config->cgroup_kills = config->cgroup_made && put(config->cgroup, "cgroup.kill", "1") == 0;
	kill_all(config->cgroup);
	enable(config, parent);
	lift(config);
	for (unsigned int i = 0; i < config->cgroup_set_count; i++) {
		char *equals = strchr(config->cgroup_set[i], '=');
		int rc;

		*equals = '\0';
		rc = put(config->cgroup, config->cgroup_set[i], equals + 1);
		if (rc < 0)
			run_complain("cgroup", config->cgroup_set[i], -rc);
		*equals = '=';
	}
}

/* In an instance. What its predecessor's children still do would be done twice. */
void run_cgroup_enter(const struct run_config *config, bool first)
{
	setsid();
	if (!config->cgroup_made)
		return;
	if (!first && !is_empty(config->cgroup))
		kill_all(config->cgroup);
	if (put(config->cgroup, "cgroup.procs", "0") < 0)
		run_fail("cgroup.procs", config->cgroup);
}

/* How many of the group the OOM killer has killed; 0 where that is not counted. */
uint64_t run_cgroup_oom_kills(const struct run_config *config)
{
	char path[512], word[32];
	unsigned long long count = 0;
	FILE *from;

	if (!config->cgroup_made)
		return 0;
	snprintf(path, sizeof path, "%s/memory.events", config->cgroup);
	from = fopen(path, "re");
	while (from && fscanf(from, "%31s %llu", word, &count) == 2 && strcmp(word, "oom_kill"))
		count = 0;
	if (from)
		fclose(from);
	return count;
}

/* The component has ended, and with it all that it has started. Whoever named the group may remove it. */
void run_cgroup_close(struct runner *r)
{
	const struct run_remains all = { .runner = getpid(), .monitor = r->monitor, .session = r->exec.pid, .instance = r->pid };

	run_sweep(r->config, &all);
	if (r->config->cgroup_made)
		kill_all(r->config->cgroup);
}
