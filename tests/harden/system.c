/* SPDX-License-Identifier: MIT */
/* Files of /proc and cgroups, time, and what is left of processes. */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harden.h"

#define KTHREADD 2

long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

void nap_us(long us)
{
	nanosleep(&(struct timespec){ us / 1000000, us % 1000000 * 1000 }, NULL);
}

int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t done;

	if (fd < 0)
		return -1;
	done = write(fd, text, strlen(text));
	close(fd);
	return done < 0 ? -1 : 0;
}

int write_number(const char *path, long number)
{
	char text[24];

	snprintf(text, sizeof text, "%ld", number);
	return write_file(path, text);
}

ssize_t read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t done = fd < 0 ? -1 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	text[done > 0 ? done : 0] = 0;
	return done;
}

long read_number(const char *path)
{
	char text[64];

	return read_text(path, text, sizeof text) > 0 ? strtol(text, NULL, 10) : -1;
}

static int status_has(pid_t pid, const char *line)
{
	char path[64], text[4096];

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	return read_text(path, text, sizeof text) > 0 && strstr(text, line);
}

int in_group(pid_t pid)
{
	return status_has(pid, "\nRfork:");
}

int is_template(pid_t pid)
{
	return status_has(pid, "\nRfork:\ttemplate");
}

/* A template waits; while it keeps house it does not. */
int is_idle(pid_t pid)
{
	return status_has(pid, "\nState:\tI");
}

/* Neither PID 1 nor a thread of the kernel's: templates, which wait(2) does not show, are counted too. */
static int is_user_task(const char *name, char *line, size_t size)
{
	char path[300];
	int parent = KTHREADD;
	char *rest;

	snprintf(path, sizeof path, "/proc/%s/stat", name);
	if (read_text(path, line, size) <= 0)
		return 0;
	rest = strrchr(line, ')');
	if (rest)
		sscanf(rest + 1, " %*c %d", &parent);
	return parent != KTHREADD && strcmp(name, "1") && strcmp(name, "2");
}

static int each_user_task(void (*show)(const char *why, const char *name, const char *stat), const char *why)
{
	char line[512];
	int count = 0;
	DIR *folder = opendir("/proc");

	if (!folder)
		return -1;
	for (struct dirent *entry; (entry = readdir(folder));)
		if (isdigit(entry->d_name[0]) && is_user_task(entry->d_name, line, sizeof line)) {
			count++;
			if (show)
				show(why, entry->d_name, line);
		}
	closedir(folder);
	return count;
}

int user_tasks(void)
{
	return each_user_task(NULL, NULL);
}

static void show_file(const char *name, const char *file)
{
	char path[300], text[4096];

	snprintf(path, sizeof path, "/proc/%s/%s", name, file);
	if (read_text(path, text, sizeof text) > 0)
		printf("%s: %s\n", file, text);
}

/* Where it is in the kernel, as far as this kernel tells. */
static void show_task(const char *why, const char *name, const char *stat)
{
	const char *kind = in_group((pid_t)strtol(name, NULL, 10)) ? "of a group" : "";

	printf("harden: left %s: %s %.60s\n", why, kind, stat);
	show_file(name, "syscall");
	show_file(name, "wchan");
	show_file(name, "stack");
}

void show_tasks(const char *why)
{
	each_user_task(show_task, why);
	fflush(stdout);
}

/* For PID 1: ends and reaps everybody; whether all went. A frozen cgroup holds nobody back from SIGKILL. */
int reap_all(int seconds)
{
	long long end = now_ms() + seconds * 1000LL;

	do {
		kill(-1, SIGKILL);
		while (waitpid(-1, NULL, WNOHANG | __WALL) > 0)
			;
		if (user_tasks() == 0)
			return 1;
		nap_us(5000);
	} while (now_ms() < end);
	return 0;
}

/* The child's wait status; -1 where it does not end in time and was killed. */
int reap(pid_t pid, int seconds)
{
	long long end = now_ms() + seconds * 1000LL;
	int status;

	while (now_ms() < end) {
		pid_t got = waitpid(pid, &status, WNOHANG | __WALL);

		if (got == pid)
			return status;
		if (got < 0)
			return 0;
		nap_us(1000);
	}
	finding("process %d does not end in %d s", pid, seconds);
	kill(pid, SIGKILL);
	return -1;
}

/* SIGKILL for all children, templates among them, until there are none; whether all went. */
int kill_children(int seconds)
{
	long long end = now_ms() + seconds * 1000LL;
	char path[64], list[4096];

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", getpid(), getpid());
	while (now_ms() < end) {
		if (read_text(path, list, sizeof list) <= 0 && waitpid(-1, NULL, WNOHANG | __WALL) < 0)
			return 1;
		for (char *at = list, *next; *at; at = next) {
			long pid = strtol(at, &next, 10);

			if (next == at)
				break;
			kill(pid, SIGKILL);
		}
		while (waitpid(-1, NULL, WNOHANG | __WALL) > 0)
			;
		nap_us(1000);
	}
	return 0;
}

/* musl's setuid() tells all its threads by signal; these processes know of none. */
void drop_to_user(void)
{
	int id = 1000 + (int)below(4);

	if (setgroups(0, NULL) == 0 && setgid(id) == 0)
		(void)!setuid(id);
}
