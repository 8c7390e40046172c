/* SPDX-License-Identifier: MIT */
/*
 * Paths that root follows for a component. Whoever can write a folder on the way decides where the rest of the path leads, so
 * the walk goes folder by folder. As long as only root can change what a name stands for, it follows links as the kernel does.
 * From the first folder on that somebody else can change, it follows no link, and everything is done as the component's user.
 *
 * A runner that is not root's follows paths with the rights of its own user only, and leaves the walk to the kernel.
 */
#include "path.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define MOST_LINKS 40		/* as the kernel's own limit */
#define PROC_MAGIC 0x9fa0

struct walk {
	const struct run_config *config;
	int root, at;		/* root: where an absolute link begins again */
	bool guarded;		/* nobody but root can put another folder in the place of `at` */
	unsigned int links;
	char left[PATH_MAX];
	char seen[PATH_MAX];	/* for messages */
};

static char reason[PATH_MAX + 128];
static bool refused;

const char *run_path_reason(void)
{
	return reason;
}

bool run_path_refused(void)
{
	return refused;
}

__attribute__((format(printf, 3, 4))) static bool stop_walk(int error, bool is_refusal, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(reason, sizeof reason, format, list);
	va_end(list);
	refused = is_refusal;
	errno = error;
	return false;
}

bool run_path_refuse(const char *path, const char *why)
{
	return stop_walk(EPERM, true, "%s %s", path, why);
}

bool run_path_error(const char *path, int error)
{
	return stop_walk(error, false, "%s: %s", path, strerror(error));
}

/* The instance is confined to its user by then, but began as root's: what it walks is no less the user's. */
static bool is_strict(void)
{
	static int began_as_root = -1;

	if (began_as_root < 0)
		began_as_root = geteuid() == 0;
	return began_as_root;
}

/* What is not root's, or has a group or others (an ACL shows as a group) that may write it. */
static bool is_closed(int folder)
{
	struct stat st;

	return fstat(folder, &st) == 0 && st.st_uid == 0 && !(st.st_mode & (S_IWGRP | S_IWOTH));
}

/* /tmp: nobody but the owner of what is in it can rename or remove that. */
static bool is_sticky(int folder)
{
	struct stat st;

	return fstat(folder, &st) == 0 && st.st_uid == 0 && st.st_mode & S_ISVTX;
}

static bool is_roots(int folder)
{
	struct stat st;

	return fstat(folder, &st) == 0 && st.st_uid == 0;
}

static bool in_proc(int folder)
{
	struct statfs fs;

	return fstatfs(folder, &fs) == 0 && fs.f_type == PROC_MAGIC;
}

/* O_PATH, where there is one, for a folder that this user may pass through and not read. */
static int open_folder(int at, const char *name, int more)
{
	int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | more, fd = openat(at, name, flags);

	return fd < 0 && errno == EACCES ? openat(at, name, flags | O_PATH) : fd;
}

static void move_to(struct walk *w, int folder)
{
	close(w->at);
	w->at = folder;
}

static bool restart(struct walk *w)
{
	int folder = w->root >= 0 ? openat(w->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : open_folder(AT_FDCWD, "/", 0);

	if (folder < 0)
		return run_path_error("/", errno);
	move_to(w, folder);
	w->seen[0] = '\0';
	return true;
}

/* The next word of what is left; false where there is none. */
static bool take_word(struct walk *w, char word[NAME_MAX + 1])
{
	char *begin = w->left + strspn(w->left, "/");
	size_t length = strcspn(begin, "/");

	snprintf(word, NAME_MAX + 1, "%.*s", (int)length, begin);
	memmove(w->left, begin + length, strlen(begin + length) + 1);
	return length != 0;
}

static void see(struct walk *w, const char *word)
{
	size_t length = strlen(w->seen);

	snprintf(w->seen + length, sizeof w->seen - length, "/%s", word);
}

static bool follow(struct walk *w, const char *word)
{
	char target[PATH_MAX], whole[2 * PATH_MAX];
	ssize_t length = readlinkat(w->at, word, target, sizeof target - 1);

	if (length < 0)
		return run_path_error(word, errno);
	target[length] = '\0';
	if (++w->links > MOST_LINKS)
		return run_path_error(word, ELOOP);
	if (snprintf(whole, sizeof whole, "%s/%s", target, w->left) >= (int)sizeof w->left)
		return run_path_error(word, ENAMETOOLONG);
	strcpy(w->left, whole);
	return target[0] != '/' || restart(w);
}

static bool refuse_link(struct walk *w, const char *word)
{
	struct stat st;
	bool users = w->config->user && fstat(w->at, &st) == 0 && st.st_uid == w->config->uid;

	return stop_walk(ELOOP, true, "%s/%s is a symbolic link in a folder that %s%s can write", w->seen, word,
			 users ? "user " : "others than root", users ? w->config->user : "");
}

/* From here on as the component's user. */
static void leave_guarded(struct walk *w, struct run_place *place)
{
	w->guarded = false;
	if (!place->as_user)
		place->as_user = run_act_as_user(w->config);
}

static bool enter(struct walk *w, const char *word, bool magic, struct run_place *place)
{
	bool guarded = w->guarded, closed = is_closed(w->at);
	int folder = open_folder(w->at, word, magic ? 0 : O_NOFOLLOW);

	if (folder < 0) {
		see(w, word);
		return run_path_error(w->seen, errno);
	}
	guarded = guarded && (closed || (is_sticky(w->at) && is_roots(folder)));
	move_to(w, folder);
	see(w, word);
	if (!guarded)
		leave_guarded(w, place);
	return true;
}

static bool is_at_root(const struct walk *w)
{
	struct stat here, root;

	return w->root >= 0 && fstat(w->at, &here) == 0 && fstat(w->root, &root) == 0 && here.st_dev == root.st_dev &&
	       here.st_ino == root.st_ino;
}

static void settle(struct walk *w, const char *word, bool magic, struct run_place *place)
{
	place->guarded = w->guarded && is_closed(w->at);
	place->sticky = w->guarded && is_sticky(w->at);
	if (!place->guarded)
		leave_guarded(w, place);
	place->magic = magic && place->guarded;
	snprintf(place->name, sizeof place->name, "%s", word);
	place->folder = w->at;
}

/* One word: a folder to go on from, a link to follow, or the place that was looked for. */
static bool step(struct walk *w, const char *word, bool follow_last, struct run_place *place, bool *done)
{
	bool last = !w->left[strspn(w->left, "/")], guarded = w->guarded && is_closed(w->at);
	struct stat st = { 0 };
	bool is_link = fstatat(w->at, word, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
	bool magic = is_link && guarded && in_proc(w->at);

	if (!strcmp(word, "..") && is_at_root(w))
		return true;
	if (is_link && !guarded && (!last || follow_last))
		return refuse_link(w, word);
	if (is_link && !magic && (!last || follow_last))
		return follow(w, word);
	if (!last || !strcmp(word, "..") || !strcmp(word, "."))
		return enter(w, word, magic, place);
	settle(w, word, magic, place);
	*done = true;
	return true;
}

static bool begin(struct walk *w, const char *path)
{
	char here[PATH_MAX] = "";

	if (*path != '/' && w->root < 0 && !getcwd(here, sizeof here))
		return run_path_error(".", errno);
	if (snprintf(w->left, sizeof w->left, "%s/%s", here, path) >= (int)sizeof w->left)
		return run_path_error(path, ENAMETOOLONG);
	w->guarded = true;
	return restart(w);
}

/* The walk is left to the kernel. */
static bool plain(const char *path, bool follow_last, struct run_place *place)
{
	place->folder = AT_FDCWD;
	place->guarded = true;
	place->magic = follow_last;
	if (snprintf(place->name, sizeof place->name, "%s", path) >= (int)sizeof place->name)
		return run_path_error(path, ENAMETOOLONG);
	return true;
}

bool run_path_find(const struct run_config *config, int root, const char *path, bool follow_last, struct run_place *place)
{
	struct walk *w;
	char word[NAME_MAX + 1];
	bool done = false, well;

	*place = (struct run_place){ .folder = -1 };
	if (!is_strict() && root < 0)
		return plain(path, follow_last, place);
	w = calloc(1, sizeof *w);
	if (!w)
		return run_path_error(path, errno);
	*w = (struct walk){ .config = config, .root = root, .at = -1 };
	well = begin(w, path);
	while (well && !done && take_word(w, word))
		well = step(w, word, follow_last, place, &done);
	if (well && !done)
		settle(w, ".", false, place);
	if (!well) {
		int error = errno;

		if (w->at >= 0)
			close(w->at);
		run_path_leave(place);
		errno = error;
	}
	free(w);
	return well;
}

void run_path_leave(struct run_place *place)
{
	int error = errno;

	if (place->as_user)
		run_act_as_root();
	place->as_user = false;
	if (place->folder >= 0)
		close(place->folder);
	place->folder = -1;
	errno = error;
}
