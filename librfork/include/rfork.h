/* SPDX-License-Identifier: MIT */
/*
 * librfork: processes that get up again.
 *
 * Every function returns a value >= 0, or -errno; errno itself is left alone.
 * There are three backends: kernel (rfork(2)), linux (a user level for any Linux) and posix (a user level for any system).
 * The first that works is used, unless the options or RFORK_BACKEND=kernel, =linux or =posix in the environment select one.
 * rfork_features() reports what the portable one cannot do.
 */
#ifndef RFORK_H
#define RFORK_H

#include <stdint.h>
#include <sys/types.h>
#if defined(__linux__) && !defined(RFORK_PORTABLE)
#include "rfork_abi.h"
#else
#include "rfork_types.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Where rfork_abi.h does not have them yet. */
#ifndef RFORK_NO_CHECKPOINT
#define RFORK_NO_CHECKPOINT 0x10 /* rfork_options.flags: rfork_checkpoint() fails with -EPERM */
#endif
#ifndef RFORK_SPARE
#define RFORK_NO_SPARE 0x8	/* rfork_options.flags: slower, for a task and its memory less */
#define RFORK_SPARE 0x4		/* rfork_event.flags: it began at once, a copy had been kept ahead */
#endif

enum rfork_backend {
	RFORK_BACKEND_AUTO = 0,
	RFORK_BACKEND_LINUX = 1,
	RFORK_BACKEND_USER = 1,		/* its older name */
	RFORK_BACKEND_KERNEL = 2,
	RFORK_BACKEND_POSIX = 3
};

struct rfork_options {
	uint64_t flags;		/* RFORK_ON_SIGNAL | ... | RFORK_NO_CHECKPOINT */
	uint32_t restart_status; /* 0: RFORK_RESTART_STATUS */
	uint32_t burst, window_ms, probation_ms; /* as in struct rfork_args */
	int exit_signal;	/* 0: SIGCHLD; -1: none */
	enum rfork_backend backend;
};

/* As fork(2), but the child is restarted from here when it asks for it or crashes:
 * default options, no descriptor. */
pid_t rfork(void);

/* The same with options (NULL: the defaults). *rfd receives a close-on-exec descriptor
 * of the group, for the calls below, unless rfd is NULL. Parent: the PID to wait(2) for
 * first (kernel: the first instance; user level: the monitor). Child: 0. */
pid_t rfork_create(const struct rfork_options *options, int *rfd);

/* The next event of the group; blocks unless the descriptor is O_NONBLOCK (-EAGAIN).
 * Returns 1, or 0 after the END event has been read. Reaps the old instance (kernel)
 * or, at END, the monitor (user level), so that the caller need not wait(2). */
int rfork_next_event(int rfd, struct rfork_event *event);

/* An operator's stop: no restart from now on, also of one under way; signal (0: none)
 * goes to the instance. */
int rfork_stop(int rfd, int signal);

/* Restart the instance now; cause RFORK_CAUSE_OPERATOR (not counted) or _HEARTBEAT. */
int rfork_kick(int rfd, int signal, unsigned int cause);

/* About the group of rfd, or with rfd -1 about the caller's own. -ESRCH: the caller
 * is not a rebootable process. */
int rfork_query(int rfd, struct rfork_info *info);

/* In a rebootable process: ask to be restarted (does not return). */
__attribute__((__noreturn__)) void rfork_restart(void);

/* From here on, a restart comes back here. Returns 0 now, and the generation (> 0) each time it comes back. Handlers of
 * pthread_atfork(3) run as for fork(2): prepare and parent here, child in every instance that begins here.
 * -ESRCH outside a rebootable process, -EBUSY in one with more than one thread, -ENOLCK in one with fcntl(2) record locks,
 * -EOPNOTSUPP where the handlers cannot be reached, -EDEADLK in a handler that a checkpoint runs. The last three are also
 * written to standard error, and so is a list of what all instances share. */
int64_t rfork_checkpoint(void);

/* The same with flags, and silently. */
int64_t rfork_checkpoint_with(uint64_t flags);

/* Record locks are no hindrance: the program locks again in each instance, or does without. */
#define RFORK_KEEP_LOCKS 0x1

/* A checkpoint without handlers is good enough if there is no other. In each instance the program then reseeds what
 * follows, before it draws a key, nonce or ID:
 *   by their handlers only (run by every checkpoint that does not need this flag): GnuTLS, Python's `random` (the module
 *   rfork runs Python's hooks in any case);
 *   by themselves, since they compare PIDs or ask the kernel: OpenSSL, libgcrypt, getrandom(2), arc4random(3);
 *   by nobody, with or without handlers: NSS (call SECMOD_RestartModules(PR_TRUE)), random(3), rand(3), drand48(3), NumPy,
 *   the program's own generators. */
#define RFORK_RESEED 0x2

/* Each instance that begins at the checkpoint has its own epoll sets, timerfds and signalfds. They get the descriptor numbers and
 * the content that the objects had at the checkpoint: watched descriptors with their data, the time left on a timer, the signals.
 * Entries whose descriptor was closed are dropped. -EOPNOTSUPP where the kernel does not tell the content: before Linux 3.8, for
 * timerfds before 3.17, or without /proc. */
#define RFORK_REBUILD 0x4

/* Of the last checkpoint: why it was refused, in words ("" if its error number says it all); and the descriptors of epoll sets,
 * timerfds, signalfds and files with a flock(2) or OFD lock, which instances share, as "epoll 4, flock 5" ("" if none). What
 * such a file had at the checkpoint may be in memory: a database that writes it again loses what was stored since. */
const char *rfork_problem(void);
const char *rfork_shared(void);

/* 0 in the first instance; -ESRCH outside a rebootable process. */
int64_t rfork_generation(void);

/* RFORK_CAUSE_* of the end of the instance before this one; -ESRCH as above. */
int rfork_cause(void);

/* Which backend this process runs under (or would use): RFORK_BACKEND_KERNEL, _LINUX or _POSIX. */
enum rfork_backend rfork_backend(void);

/* What a backend can do here. What happens without is in the table of rfork(3). */
#define RFORK_CAN_CHECKPOINT		0x1	/* rfork_checkpoint() works without RFORK_RESEED */
#define RFORK_CAN_RUN_HANDLERS_ONCE	0x2	/* handlers of pthread_atfork(3) run once for a checkpoint and for each instance */
#define RFORK_CAN_COUNT_THREADS		0x4	/* a checkpoint with a second thread is refused */
#define RFORK_CAN_LIST_SHARED		0x8	/* rfork_shared() works, and rfork_problem() names files */
#define RFORK_CAN_CHECK_SENDER		0x10	/* EPERM to strangers that have the descriptor */
#define RFORK_CAN_CHECK_NAMESPACE	0x20	/* EINVAL to a caller that has unshared its PID namespace */
#define RFORK_CAN_TELL_PIDS_APART	0x40	/* a process with the PID of a dead one is not taken for it */
#define RFORK_CAN_CHOOSE_SIGNAL		0x80	/* wait(2) works with any exit signal */
#define RFORK_CAN_WATCH_PARENT		0x100	/* the group ends at once with its parent */
#define RFORK_CAN_END_TOGETHER		0x200	/* the instance ends if a helper process is killed */
#define RFORK_CAN_PROTECT_IMAGE		0x400	/* instances cannot change what the next one begins from, nor deceive the monitor */
#define RFORK_CAN_KEEP_SPARE		0x800	/* the next instance is made in advance */
#define RFORK_CAN_HIDE_HELPERS		0x1000	/* wait(2) in the instance does not report helper processes */

/* A set of RFORK_CAN_*; of RFORK_BACKEND_AUTO: what rfork_backend() returns can do. */
uint64_t rfork_features(enum rfork_backend backend);

/* Names for logs: "request", "error", ... and "exit", "stop", "burst", ... */
const char *rfork_cause_name(unsigned int cause);
const char *rfork_end_name(unsigned int reason);

#ifdef __cplusplus
}
#endif
#endif
