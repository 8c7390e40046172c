/* SPDX-License-Identifier: MIT */
/* What is done at the end of a path (path.c). */
#include "path.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_Noreturn void run_path_fail(const char *what)
{
	char text[RUN_ERROR_MAX + 1];

	run_path_complain(what);
	snprintf(text, sizeof text, "%s: %s", what, run_path_reason());
	run_channel_fail(text);
	exit(RUN_SYSTEM);
}

void run_path_complain(const char *what)
{
	fprintf(stderr, "rfork-run: %s: %s\n", what, run_path_reason());
}

/* Where others can put something in its place: a file, of the component's user or of root, that has no other name. */
static bool is_own_file(const struct run_config *config, const char *path, const struct stat *st)
{
	uid_t user = config->user ? config->uid : 0;

	if (!S_ISREG(st->st_mode))
		return run_path_refuse(path, "is not a file, in a folder that others than root can write");
	if (st->st_nlink > 1)
		return run_path_refuse(path, "has another name (a hard link), in a folder that others than root can write");
	if (st->st_uid != user && st->st_uid != 0)
		return run_path_refuse(path, "is another user's file, in a folder that others than root can write");
	return true;
}

/* A root component has nobody to be in a folder of somebody else's, who could make a hard link of root's own file there. */
static bool may_open(const struct run_config *config, const char *path, const struct run_place *place)
{
	struct stat st;

	if (place->guarded)
		return true;
	if (!place->sticky && (!config->user || !config->uid))
		return run_path_refuse(path, "is in a folder that others than root can write, and the component is root's");
	/* Looked at first: to open a device may do something. */
	return fstatat(place->folder, place->name, &st, AT_SYMLINK_NOFOLLOW) < 0 || is_own_file(config, path, &st);
}

static int open_place(const struct run_config *config, const char *path, const struct run_place *place, int flags, mode_t mode)
{
	struct stat st;
	int fd;

	if (!place->guarded)
		flags |= O_NONBLOCK;
	if (!place->magic)
		flags |= O_NOFOLLOW;
	fd = openat(place->folder, place->name, flags | O_NOCTTY | O_CLOEXEC, mode);
	if (fd < 0) {
		run_path_error(path, errno);
		return -1;
	}
	if (place->guarded || (fstat(fd, &st) == 0 && is_own_file(config, path, &st)))
		return fd;
	close(fd);
	errno = EPERM;
	return -1;
}

/* open(2) for a component; -1 with errno, and the reason in words. */
int run_path_open(const struct run_config *config, const char *path, int flags, mode_t mode)
{
	struct run_place place;
	int fd = -1;

	if (!run_path_find(config, -1, path, true, &place))
		return -1;
	if (may_open(config, path, &place))
		fd = open_place(config, path, &place, flags, mode);
	run_path_leave(&place);
	return fd;
}

/* What is at the end of a path, of whatever kind: to mount on or to allow, not to read. Before Linux 2.6.39 it is opened for
 * reading, for the lack of O_PATH. */
int run_path_target(const struct run_config *config, int root, const char *path)
{
	struct run_place place;
	struct stat st;
	int fd;

	if (!run_path_find(config, root, path, true, &place))
		return -1;
	fd = openat(place.folder, place.name, O_PATH | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (place.magic ? 0 : O_NOFOLLOW));
	run_path_leave(&place);
	if (fd < 0)
		run_path_error(path, errno);
	else if (fstat(fd, &st) < 0 || S_ISLNK(st.st_mode)) {
		/* It was no link a moment ago. */
		close(fd);
		fd = -1;
		run_path_refuse(path, "is a symbolic link in a folder that others than root can write");
	}
	return fd;
}

int run_path_folder(const struct run_config *config, const char *path)
{
	int target = run_path_target(config, -1, path), fd;

	if (target < 0)
		return -1;
	fd = openat(target, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		run_path_error(path, errno);
	close(target);
	return fd;
}

static bool make_one(const struct run_config *nobody, const char *path)
{
	struct run_place place;
	int rc;

	if (!run_path_find(nobody, -1, path, true, &place))
		return false;
	if (!place.guarded && !place.sticky) {
		run_path_leave(&place);
		return run_path_refuse(path, "is in a folder that others than root can write");
	}
	rc = mkdirat(place.folder, place.name, 0755);
	run_path_leave(&place);
	return rc == 0 || errno == EEXIST || run_path_error(path, errno);
}

/* Only root can change what is in it, and it in its place: then plain names in it can be trusted. */
static bool is_own(const struct run_config *nobody, const char *path)
{
	struct run_place place;
	struct stat st;
	bool well;
	int rc;

	if (!run_path_find(nobody, -1, path, true, &place))
		return false;
	rc = fstatat(place.folder, place.name, &st, place.magic ? 0 : AT_SYMLINK_NOFOLLOW);
	well = (place.guarded || place.sticky) && st.st_uid == 0 && !(st.st_mode & (S_IWGRP | S_IWOTH));
	run_path_leave(&place);
	if (rc < 0)
		return run_path_error(path, errno);
	return well || geteuid() != 0 || run_path_refuse(path, "can be written by others than root");
}

/* A folder of the runner's own, made with those above it. */
bool run_path_own_folder(const char *path)
{
	static const struct run_config nobody;
	char *part;
	bool well = true;

	if (is_own(&nobody, path))
		return true;
	if (errno != ENOENT)
		return false;
	part = strdup(path);
	if (!part)
		return run_path_error(path, errno);
	for (char *slash = strchr(part + 1, '/'); well && slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		well = make_one(&nobody, part);
		*slash = '/';
	}
	well = well && make_one(&nobody, part) && is_own(&nobody, path);
	free(part);
	return well;
}
