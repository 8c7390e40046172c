/* SPDX-License-Identifier: MIT */
/*
 * RFORK_REBUILD: epoll sets, timerfds and signalfds of each instance's own. The checkpoint reads from /proc/self/fdinfo what they
 * hold. Each instance that begins there makes new objects with the same content, under the same descriptor numbers. Otherwise
 * all instances share the objects of the first one: a signalfd then reports the signals of a dead process, and an epoll set
 * the pointers that a dead instance has added.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "internal.h"

#define SET_TICKS _IOW('T', 0, uint64_t)	/* linux/timerfd.h; only with CONFIG_CHECKPOINT_RESTORE */
#define KCMP_FILE_TYPE 0			/* linux/kcmp.h */

enum kind { EPOLL, TIMERFD, SIGNALFD, KINDS };

static const char *const links[KINDS] = { "anon_inode:[eventpoll]", "anon_inode:[timerfd]", "anon_inode:[signalfd]" };
static const char *const words[KINDS] = { "epoll", "timerfd", "signalfd" };

struct watched {
	struct epoll_event event;
	int fd;
};

struct object {
	enum kind kind;
	int fd, same_as;		/* index of an earlier descriptor of the same object, or -1 */
	bool close_on_exec, nonblocking, complete;
	struct watched *watched;	/* of an epoll set */
	size_t watched_count;
	int clock, flags;		/* of a timerfd */
	uint64_t ticks;
	struct itimerspec timer;	/* absolute, if it was set so */
	uint64_t mask;			/* of a signalfd */
};

static struct object *objects;
static size_t object_count;

static void forget(void)
{
	for (size_t i = 0; i < object_count; i++)
		free(objects[i].watched);
	free(objects);
	objects = NULL;
	object_count = 0;
}

/* An entry remains when its descriptor is closed and the file is still open elsewhere. It cannot be added again. */
static bool is_stale(int fd, unsigned long long inode)
{
	struct stat st;

	return fstat(fd, &st) < 0 || (inode && st.st_ino != inode);
}

static bool add_watched(struct object *object, const char *line)
{
	unsigned long long data, inode = 0;
	unsigned int events;
	struct watched *more;
	const char *place;
	int fd;

	if (sscanf(line, "tfd: %d events: %x data: %llx", &fd, &events, &data) != 3)
		return true;
	place = strstr(line, "ino:");
	if (place)
		sscanf(place, "ino:%llx", &inode);
	if (is_stale(fd, inode))
		return true;
	more = realloc(object->watched, (object->watched_count + 1) * sizeof *more);
	if (!more)
		return false;
	object->watched = more;
	more[object->watched_count++] = (struct watched){ .fd = fd, .event = { .events = events, .data.u64 = data } };
	return true;
}

static void read_timer(struct object *object, const char *line)
{
	long long s, ns;
	unsigned long long ticks;

	if (sscanf(line, "clockid: %d", &object->clock) == 1)
		object->complete = true;
	else if (sscanf(line, "ticks: %llu", &ticks) == 1)
		object->ticks = ticks;
	else if (sscanf(line, "settime flags: %o", (unsigned int *)&object->flags) == 1)
		return;
	else if (sscanf(line, "it_value: (%lld, %lld)", &s, &ns) == 2)
		object->timer.it_value = (struct timespec){ .tv_sec = (time_t)s, .tv_nsec = (long)ns };
	else if (sscanf(line, "it_interval: (%lld, %lld)", &s, &ns) == 2)
		object->timer.it_interval = (struct timespec){ .tv_sec = (time_t)s, .tv_nsec = (long)ns };
}

static bool read_line(struct object *object, const char *line)
{
	unsigned long long mask;

	if (object->kind == EPOLL)
		return add_watched(object, line + strspn(line, " "));
	if (object->kind == TIMERFD)
		read_timer(object, line);
	else if (sscanf(line, "sigmask: %llx", &mask) == 1) {
		object->mask = mask;
		object->complete = true;
	}
	return true;
}

/* The kernel tells the time that is left. */
static void make_absolute(struct object *object)
{
	struct timespec now, *value = &object->timer.it_value;

	if (!(object->flags & TFD_TIMER_ABSTIME) || (!value->tv_sec && !value->tv_nsec) ||
	    clock_gettime(object->clock, &now) < 0)
		return;
	value->tv_sec += now.tv_sec;
	value->tv_nsec += now.tv_nsec;
	if (value->tv_nsec >= 1000000000) {
		value->tv_nsec -= 1000000000;
		value->tv_sec++;
	}
}

static int read_object(struct object *object)
{
	char path[40], line[256];
	FILE *file;
	int rc = 0;

	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", object->fd);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (rc == 0 && fgets(line, sizeof line, file))
		rc = read_line(object, line) ? 0 : -ENOMEM;
	fclose(file);
	object->close_on_exec = fcntl(object->fd, F_GETFD) & FD_CLOEXEC;
	object->nonblocking = fcntl(object->fd, F_GETFL) & O_NONBLOCK;
	make_absolute(object);
	/* Before Linux 3.8 (timerfd: 3.17) fdinfo does not say it. An empty epoll set has no line. */
	if (object->kind == EPOLL)
		object->complete = rfork_kernel_since(3, 8);
	return rc == 0 && !object->complete ? -EOPNOTSUPP : rc;
}

static int find_same(const struct object *object)
{
#ifdef SYS_kcmp
	for (size_t i = 0; i < object_count; i++)
		if (objects[i].kind == object->kind &&
		    syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE_TYPE, objects[i].fd, object->fd) == 0)
			return (int)i;
#endif
	return -1;
}

static int add_object(int fd, enum kind kind)
{
	struct object object = { .kind = kind, .fd = fd };
	struct object *more;
	int rc;

	object.same_as = find_same(&object);
	rc = read_object(&object);
	more = rc < 0 ? NULL : realloc(objects, (object_count + 1) * sizeof *more);
	if (!more) {
		free(object.watched);
		return rc < 0 ? rc : -ENOMEM;
	}
	objects = more;
	objects[object_count++] = object;
	return 0;
}

static int look_at(int fd)
{
	char path[32], name[64];
	ssize_t got;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	got = readlink(path, name, sizeof name - 1);
	name[got > 0 ? got : 0] = '\0';
	for (int kind = 0; kind < KINDS; kind++)
		if (!strcmp(name, links[kind]))
			return add_object(fd, (enum kind)kind);
	return 0;
}

/* Notes what each instance will make. -errno, and in `which` the object that cannot be read, or "". */
int rfork_rebuild_note(char *which, size_t size)
{
	DIR *folder = opendir("/proc/self/fd");
	struct dirent *entry;
	int rc = folder ? 0 : -EOPNOTSUPP, fd;

	forget();
	*which = '\0';
	while (rc == 0 && (entry = readdir(folder))) {
		fd = *entry->d_name == '.' ? -1 : atoi(entry->d_name);
		rc = fd < 0 || fd == dirfd(folder) ? 0 : look_at(fd);
		if (rc < 0)
			snprintf(which, size, "descriptor %d", fd);
	}
	if (folder)
		closedir(folder);
	if (rc < 0)
		forget();
	return rc;
}

static int make_timer(const struct object *object)
{
	int fd = timerfd_create(object->clock, 0);
	const struct timespec *value = &object->timer.it_value;
	struct itimerspec at_once = { .it_interval = object->timer.it_interval, .it_value.tv_nsec = 1 };
	uint64_t ticks = object->ticks;

	if (fd >= 0 && (value->tv_sec || value->tv_nsec))
		timerfd_settime(fd, object->flags, &object->timer, NULL);
	/* It had expired, and nobody had read that. */
	if (fd >= 0 && ticks && ioctl(fd, SET_TICKS, &ticks) < 0)
		timerfd_settime(fd, 0, &at_once, NULL);
	return fd;
}

static int make_signalfd(const struct object *object)
{
	return (int)syscall(SYS_signalfd4, -1, &object->mask, sizeof object->mask, 0);
}

/* A new object in the place of the one that all instances share. */
static bool replace(const struct object *object)
{
	int fd = object->same_as >= 0 ? dup(objects[object->same_as].fd) :
		 object->kind == EPOLL ? epoll_create1(0) :
		 object->kind == TIMERFD ? make_timer(object) : make_signalfd(object);
	bool made = fd >= 0 && dup3(fd, object->fd, object->close_on_exec ? O_CLOEXEC : 0) >= 0;

	if (made && object->nonblocking)
		fcntl(object->fd, F_SETFL, fcntl(object->fd, F_GETFL) | O_NONBLOCK);
	if (fd >= 0)
		close(fd);
	return made;
}

/* Once all objects are there: an epoll set may watch another one. */
static bool watch_again(const struct object *object)
{
	bool added = true;

	for (size_t i = 0; object->same_as < 0 && i < object->watched_count; i++) {
		struct epoll_event event = object->watched[i].event;

		added &= epoll_ctl(object->fd, EPOLL_CTL_ADD, object->watched[i].fd, &event) == 0;
	}
	return added;
}

/* In a new instance. NULL, or the kind of an object that could not be made. */
const char *rfork_rebuild_make(void)
{
	for (size_t i = 0; i < object_count; i++)
		if (!replace(&objects[i]))
			return words[objects[i].kind];
	for (size_t i = 0; i < object_count; i++)
		if (!watch_again(&objects[i]))
			return words[objects[i].kind];
	return NULL;
}
