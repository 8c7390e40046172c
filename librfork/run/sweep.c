/* SPDX-License-Identifier: MIT */
/*
 * What a component has started and left behind, where no control group can be emptied. An instance leads a session of its own,
 * so its children are known by session and process group. Those that have left both become children of the runner once their parent
 * is gone, because the runner is a subreaper (Linux 3.4). Before that they are init's and cannot be told apart.
 */
#include "run.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SUBREAPER 36
#define GONE_MS 2000
#define LOOK_MS 1

struct process {
	pid_t pid, parent, group, session;
	bool chosen;
};

static bool is_subreaper;

void run_sweep_open(void)
{
	is_subreaper = prctl(SUBREAPER, 1, 0, 0, 0) == 0;
}

/* Orphans that end are reaped at once. A group must not begin like this: its instances would inherit it. */
void run_sweep_reap(bool reap)
{
	if (is_subreaper)
		signal(SIGCHLD, reap ? SIG_IGN : SIG_DFL);
}

/* False: gone, or as good as. */
static bool read_process(const char *name, struct process *p)
{
	char path[64], text[512], *end, state;
	size_t got;
	FILE *from;

	if (!isdigit((unsigned char)*name))
		return false;
	snprintf(path, sizeof path, "/proc/%.20s/stat", name);
	from = fopen(path, "re");
	if (!from)
		return false;
	got = fread(text, 1, sizeof text - 1, from);
	fclose(from);
	text[got] = '\0';
	end = strrchr(text, ')');	/* the name before it may hold anything */
	*p = (struct process){ .pid = atoi(name) };
	return end && sscanf(end, ") %c %d %d %d", &state, &p->parent, &p->group, &p->session) == 4 && state != 'Z' && state != 'X';
}

static size_t read_all(struct process **all)
{
	size_t count = 0, room = 0;
	struct dirent *entry;
	DIR *folder = opendir("/proc");

	*all = NULL;
	while (folder && (entry = readdir(folder))) {
		if (count == room) {
			struct process *more = realloc(*all, (room = 2 * room + 64) * sizeof **all);

			if (!more)
				break;
			*all = more;
		}
		count += read_process(entry->d_name, *all + count);
	}
	if (folder)
		closedir(folder);
	return count;
}

/* What rfork keeps of the runner ahead may be children of it too. */
static bool is_runner(pid_t pid)
{
	struct stat ours, its;
	char path[32];

	snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
	return stat("/proc/self/exe", &ours) < 0 || stat(path, &its) < 0 || (its.st_ino == ours.st_ino && its.st_dev == ours.st_dev);
}

/* A SIGKILL to a template of the kernel's ends its group. */
static bool is_template(pid_t pid)
{
	char path[32], line[128];
	bool found = false;
	FILE *from;

	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	from = fopen(path, "re");
	while (from && !found && fgets(line, sizeof line, from))
		found = !strcmp(line, "Rfork:\ttemplate\n") || !strcmp(line, "Rfork:\tstarting\n");
	if (from)
		fclose(from);
	return found;
}

static bool is_left(const struct run_remains *of, const struct process *p)
{
	if (p->pid == of->next || p->pid == getpid())
		return false;
	if (of->monitor && (p->pid == of->monitor || p->parent == of->monitor))
		return false;	/* the group's own */
	if (of->session > 1 && (p->session == of->session || p->group == of->session))
		return !is_template(p->pid);
	if (of->instance > 1 && (p->pid == of->instance || p->parent == of->instance))
		return !is_template(p->pid);
	return is_subreaper && of->runner && p->parent == of->runner && !is_runner(p->pid) && !is_template(p->pid);
}

static bool has_chosen_parent(const struct process *all, size_t count, const struct process *p)
{
	for (size_t i = 0; i < count; i++)
		if (all[i].chosen && all[i].pid == p->parent)
			return true;
	return false;
}

/* With all that these have started; how many they are. */
static size_t choose(const struct run_remains *of, struct process *all, size_t count)
{
	size_t chosen = 0, before;

	do {
		before = chosen;
		for (size_t i = 0; i < count; i++)
			if (!all[i].chosen && (is_left(of, all + i) || (all[i].pid != of->next && has_chosen_parent(all, count, all + i)))) {
				all[i].chosen = true;
				chosen++;
			}
	} while (chosen != before);
	return chosen;
}

/* False: there is nothing. */
static bool sweep_once(const struct run_remains *of, bool end_them)
{
	struct process *all;
	size_t count = read_all(&all), chosen = choose(of, all, count);

	for (size_t i = 0; end_them && i < count; i++)
		if (all[i].chosen)
			kill(all[i].pid, SIGKILL);
	free(all);
	return chosen;
}

/* With the component's rights: between the look and the signal, a number may become another's. */
static _Noreturn void sweep(const struct run_config *config, const struct run_remains *of)
{
	if (config->user && (setgid(config->gid) < 0 || setuid(config->uid) < 0))
		_exit(RUN_SYSTEM);
	for (int waited = 0; waited < GONE_MS && sweep_once(of, true); waited += LOOK_MS)
		poll(NULL, 0, LOOK_MS);
	_exit(RUN_DONE);
}

/* Returns when they are gone, or after a time. */
void run_sweep(const struct run_config *config, const struct run_remains *of)
{
	pid_t pid;

	if (config->cgroup_kills || !sweep_once(of, false))
		return;
	pid = fork();
	if (pid == 0)
		sweep(config, of);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}
