/* SPDX-License-Identifier: MIT */
/*
 * What the processes of a group share, in POSIX.1-2008 only. rfork(3) has the table of what that cannot do.
 *
 * The monitor is the caller's child: the image of rfork_create(), and the process that decides. A checkpoint makes one more
 * process, the holder of its image, which is nobody's child. Whichever of them has forked an instance waits for it, since
 * only a parent can; a holder passes on to the monitor what wait(2) told it.
 */
#ifndef RFORK_GROUP_H
#define RFORK_GROUP_H

#include <poll.h>
#include <signal.h>
#include "../src/internal.h"
#include "posix.h"

/* messages.h of monitor/ has the first two as well: the descriptor of a group speaks the same in both backends. */
struct rfork_posix_command {	/* owner to monitor, with a socket for the reply */
	uint32_t cmd, signal, cause;
};

struct rfork_posix_reply {
	int32_t error;
	int32_t reserved;
	struct rfork_info info;
};

struct rfork_posix_notice {	/* instance to monitor: a checkpoint, with the holder's socket and one for the reply */
	int32_t pid;
};

enum { POSIX_START = 1, POSIX_SIGNAL };

struct rfork_posix_order {	/* monitor to holder */
	uint64_t generation, fail_ns;
	uint32_t what, cause;
	int32_t status, signal;
};

enum { POSIX_STARTED = 1, POSIX_ENDED, POSIX_REFUSED };

struct rfork_posix_answer {	/* holder to monitor */
	uint64_t ns;
	uint32_t what;
	int32_t pid, status;
	int32_t reserved;
};

/* socket.c */
#define POSIX_FDS 2
int rfork_posix_pair(int pair[2]);
int rfork_posix_raise(int fd, bool inherited);
void rfork_posix_close(int *fd);
void rfork_posix_unblock(int fd);
int rfork_posix_send(int socket, const void *data, size_t size, const int *fds, int count);
int rfork_posix_receive(int socket, void *data, size_t size, int *fds, int *count);

/* hidden.c: a child of nobody */
struct rfork_posix_hidden {
	int (*before)(void *argument);	/* in the process between, or NULL; < 0: no fork */
	void *argument;
};
pid_t rfork_posix_fork_hidden(const struct rfork_posix_hidden *how);

/* locks.c */
int rfork_posix_find_lock(pid_t owner);

/* watch.c: a process that has forked an instance, and waits for its end */
struct rfork_posix_watch {
	int wake[2];		/* a pipe: a signal has come */
	int started[2];		/* a pipe from the instance: it begins */
	sigset_t mask;		/* the instances' */
	pid_t child;		/* 0: none */
};
int rfork_posix_watch_open(struct rfork_posix_watch *watch, const sigset_t *mask, bool forwards);
int rfork_posix_watch_poll(struct rfork_posix_watch *watch, struct pollfd *others, int count, int timeout_ms);
uint64_t rfork_posix_watch_forward(void);
pid_t rfork_posix_watch_spawn(struct rfork_posix_watch *watch, uint64_t *start_ns);
bool rfork_posix_watch_ended(struct rfork_posix_watch *watch, int *status);
void rfork_posix_watch_kill(struct rfork_posix_watch *watch);
void rfork_posix_watch_leave(struct rfork_posix_watch *watch);

/* self.c */
void rfork_posix_self_set(const struct rfork_posix_self *self);
const struct rfork_posix_self *rfork_posix_self_inherited(void);
int rfork_posix_self_control(void);
uint64_t rfork_posix_inode(int fd);

#endif
