/* SPDX-License-Identifier: MIT */
/* The one way to a file, folder or socket whose path a component's configuration gives (path.c, path_use.c, as_user.c). */
#ifndef RUN_PATH_H
#define RUN_PATH_H

#include "run.h"
#include <limits.h>

/* Where a path leads: a name in a folder. Between run_path_find() and run_path_leave() this process has the rights of the
 * component's user for files, unless the place is guarded. */
struct run_place {
	int folder;
	char name[PATH_MAX];
	bool guarded;		/* only root can change what the name stands for */
	bool sticky;		/* in a folder such as /tmp */
	bool magic;		/* a link that the kernel has to follow, as in /proc/self/fd */
	bool as_user;
};

/* path.c: false with errno, and the reason in words. `root`: a descriptor of the folder that absolute links begin at, or -1. */
bool run_path_find(const struct run_config *config, int root, const char *path, bool follow_last, struct run_place *place);
void run_path_leave(struct run_place *place);
const char *run_path_reason(void);
bool run_path_refused(void);	/* the reason is a rule of ours, and no error of the kernel's */
bool run_path_refuse(const char *path, const char *why);
bool run_path_error(const char *path, int error);

/* path_use.c */
int run_path_open(const struct run_config *config, const char *path, int flags, mode_t mode);
int run_path_target(const struct run_config *config, int root, const char *path);
int run_path_folder(const struct run_config *config, const char *path);
bool run_path_own_folder(const char *path);
_Noreturn void run_path_fail(const char *what);
void run_path_complain(const char *what);

/* as_user.c */
bool run_act_as_user(const struct run_config *config);
void run_act_as_root(void);

#endif
