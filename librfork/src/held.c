/* SPDX-License-Identifier: MIT */
/*
 * What a process holds at a checkpoint that memory alone does not bring back. A record lock belongs to the process that took
 * it: the next instance would believe in a lock that it does not have. Epoll sets, timerfds and signalfds stay the objects
 * of the instance that made them, and all later ones share them. A lock of the open file, flock(2), stays too; but who has
 * one may keep in memory what the file has had at the checkpoint.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
#include "internal.h"

#define PATH_SIZE 256
#define MOST_FDS 4096		/* that are looked at without /proc/self/fd */
#define MOST_LOCKS 1000		/* of one file */

/* 1: the file has such a line; 0: it has not; -1: it cannot be read. */
static int any_line(const char *path, bool (*fits)(const char *line, void *with), void *with)
{
	char line[512];
	FILE *file = fopen(path, "re");
	int found = file ? 0 : -1;

	while (file && !found && fgets(line, sizeof line, file))
		found = fits(line, with);
	if (file)
		fclose(file);
	return found;
}

struct kinds {
	bool record, open_file;
};

/* In fdinfo the kernel lists the locks that were taken through this descriptor by this process, and no others. */
static bool note_kind(const char *line, void *with)
{
	struct kinds *kinds = with;

	if (!strncmp(line, "lock:", 5)) {
		kinds->record |= strstr(line, ": POSIX") != NULL;
		kinds->open_file |= strstr(line, ": FLOCK") || strstr(line, ": OFDLCK");
	}
	return false;
}

struct lock {
	pid_t pid;
	unsigned int major, minor;
	unsigned long long inode;
};

/* A line of /proc/locks. Where somebody waits for a lock there is "->" before the kind. */
static bool is_lock_of(const char *line, void *with)
{
	struct lock *lock = with, found;

	if (sscanf(line, "%*d: POSIX %*s %*s %d %x:%x:%llu", &found.pid, &found.major, &found.minor, &found.inode) != 4 ||
	    found.pid != lock->pid)
		return false;
	*lock = found;
	return true;
}

static void name_of(int fd, char *name)
{
	char path[32];
	ssize_t got;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	got = readlink(path, name, PATH_SIZE - 1);
	name[got > 0 ? got : 0] = '\0';
}

static bool is_file(int fd, const struct lock *lock)
{
	struct stat st;

	return fstat(fd, &st) == 0 && major(st.st_dev) == lock->major && minor(st.st_dev) == lock->minor &&
	       st.st_ino == lock->inode;
}

static void add_name(struct rfork_held *held, int fd, const char *name)
{
	if (*name)
		snprintf(held->lock, sizeof held->lock, "%s (descriptor %d)", name, fd);
	else
		snprintf(held->lock, sizeof held->lock, "descriptor %d", fd);
}

/* By PID, where fdinfo does not tell: before Linux 4.1, and in a process that may not look at itself. False: nor does this. */
static bool find_in_locks(struct rfork_held *held)
{
	struct lock lock = { .pid = getpid() };
	char name[PATH_SIZE];
	int found = rfork_proc_is_ours() ? any_line("/proc/locks", is_lock_of, &lock) : -1;

	if (found != 1)
		return found == 0;
	snprintf(held->lock, sizeof held->lock, "inode %llu of device %x:%x", lock.inode, lock.major, lock.minor);
	for (int fd = 0; fd < MOST_FDS; fd++) {
		if (!is_file(fd, &lock))
			continue;
		name_of(fd, name);
		add_name(held, fd, name);
		break;
	}
	return true;
}

/* Whether this process has a record lock there, asked by another one. It is told one lock at a time. */
static bool has_lock(int fd, pid_t owner)
{
	struct flock lock = { .l_len = 0 };

	for (int i = 0; i < MOST_LOCKS; i++) {
		lock = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = lock.l_start + lock.l_len };
		if (fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
			return false;
		if (lock.l_pid == owner)
			return true;
		if (!lock.l_len)
			return false;
	}
	return false;
}

static _Noreturn void tell_locked(int to, pid_t owner)
{
	for (int fd = 0; fd < MOST_FDS; fd++)
		if (has_lock(fd, owner) && write(to, &fd, sizeof fd) == sizeof fd)
			break;
	_exit(0);
}

/* Without /proc: a child has the descriptors and not the locks, so the kernel tells it of them. */
static void ask_in_child(struct rfork_held *held)
{
	pid_t owner = getpid(), pid;
	int ends[2], fd;

	if (pipe(ends) < 0)
		return;
	pid = rfork_raw_fork(0);
	if (pid == 0)
		tell_locked(ends[1], owner);
	close(ends[1]);
	if (pid > 0 && read(ends[0], &fd, sizeof fd) == sizeof fd)
		add_name(held, fd, "");
	close(ends[0]);
	while (pid > 0 && waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
}

static void add_shared(struct rfork_held *held, const char *kind, int fd)
{
	size_t length = strlen(held->shared);

	snprintf(held->shared + length, sizeof held->shared - length, "%s%s %d", length ? ", " : "", kind, fd);
}

static void look_at_object(struct rfork_held *held, int fd, const char *name)
{
	static const char *const kinds[][2] = {
		{ "anon_inode:[eventpoll]", "epoll" }, { "anon_inode:[timerfd]", "timerfd" },
		{ "anon_inode:[signalfd]", "signalfd" },
	};

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (!strcmp(name, kinds[i][0]))
			add_shared(held, kinds[i][1], fd);
}

/* False: what locks it has cannot be told here. */
static bool look_at_file(struct rfork_held *held, int fd, const char *name)
{
	struct kinds kinds = { false, false };
	char path[40];

	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
	if (any_line(path, note_kind, &kinds) < 0)
		return false;
	if (kinds.record)
		add_name(held, fd, name);
	if (kinds.open_file)
		add_shared(held, "flock", fd);
	return true;
}

static bool look_at(struct rfork_held *held, int fd, bool rebuilt)
{
	char name[PATH_SIZE];

	name_of(fd, name);
	if (*name == '/')
		return look_at_file(held, fd, name);
	if (!rebuilt)
		look_at_object(held, fd, name);
	return *name;
}

static bool look_at_all(struct rfork_held *held, bool rebuilt)
{
	DIR *folder = opendir("/proc/self/fd");
	struct dirent *entry;
	bool told = folder;

	while (folder && (entry = readdir(folder)))
		if (*entry->d_name != '.' && atoi(entry->d_name) != dirfd(folder))
			told &= look_at(held, atoi(entry->d_name), rebuilt);
	if (folder)
		closedir(folder);
	return told;
}

/* A kernel that claims to be older is taken for one that lacks things. */
bool rfork_kernel_since(int major, int minor)
{
	struct utsname system;
	int is_major = 0, is_minor = 0;

	return uname(&system) == 0 && sscanf(system.release, "%d.%d", &is_major, &is_minor) == 2 &&
	       (is_major > major || (is_major == major && is_minor >= minor));
}

/* Without /proc it finds record locks only. `rebuilt`: without epoll sets, timerfds and signalfds, which are not shared then. */
void rfork_held_find(struct rfork_held *held, bool rebuilt)
{
	int saved = errno;
	bool told;

	*held->lock = *held->shared = '\0';
	told = look_at_all(held, rebuilt);
	if (!*held->lock && (!told || !rfork_kernel_since(4, 1)) && !find_in_locks(held))
		ask_in_child(held);
	errno = saved;
}
