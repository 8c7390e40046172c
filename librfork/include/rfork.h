/* SPDX-License-Identifier: MIT */
/*
 * librfork: processes that get up again.
 *
 * Every function returns a value >= 0, or -errno; errno itself is left alone.
 * The kernel's rfork(2) is used where it exists, the user-level backend where
 * it answers ENOSYS; RFORK_BACKEND=user or =kernel in the environment decides
 * otherwise.
 */
#ifndef RFORK_H
#define RFORK_H

#include <stdint.h>
#include <sys/types.h>
#include "rfork_abi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where rfork_abi.h does not have them yet. */
#ifndef RFORK_SPARE
#define RFORK_NO_SPARE 0x8	/* rfork_options.flags: slower, for a task and its memory less */
#define RFORK_SPARE 0x4		/* rfork_event.flags: it began at once, a copy had been kept ahead */
#endif

enum rfork_backend { RFORK_BACKEND_AUTO = 0, RFORK_BACKEND_USER = 1, RFORK_BACKEND_KERNEL = 2 };

struct rfork_options {
	uint64_t flags;		/* RFORK_ON_SIGNAL | RFORK_ON_STATUS | RFORK_OUTLIVE | RFORK_NO_SPARE */
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
_Noreturn void rfork_restart(void);

/* From here on, a restart comes back here. Returns 0 now, and the generation (> 0)
 * each time it comes back. -ESRCH outside a rebootable process, -EBUSY in one with
 * more than one thread. */
int64_t rfork_checkpoint(void);

/* 0 in the first instance; -ESRCH outside a rebootable process. */
int64_t rfork_generation(void);

/* RFORK_CAUSE_* of the end of the instance before this one; -ESRCH as above. */
int rfork_cause(void);

/* Which backend this process runs under (or would use): RFORK_BACKEND_USER or _KERNEL. */
enum rfork_backend rfork_backend(void);

/* Names for logs: "request", "error", ... and "exit", "stop", "burst", ... */
const char *rfork_cause_name(unsigned int cause);
const char *rfork_end_name(unsigned int reason);

#ifdef __cplusplus
}
#endif
#endif
