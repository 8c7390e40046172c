/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */
/*
 * The binary interface of rfork(2): what programs and the kernel agree on,
 * and what librfork's user-level backend, which speaks the same structures,
 * keeps to as well. kernel/README.md is its contract.
 */
#ifndef _UAPI_LINUX_RFORK_H
#define _UAPI_LINUX_RFORK_H

#include <linux/types.h>

/*
 * long rfork(unsigned int cmd, void *arg, size_t size);
 *
 * 387 to 423 are never handed out on x86-64, so that neither a later kernel
 * nor a libc that probes for newer calls can mean something else by 390.
 */
#ifndef __NR_rfork
#define __NR_rfork 390
#endif

/* cmd */
#define RFORK_CREATE		0	/* struct rfork_args */
#define RFORK_CHECKPOINT	1	/* NULL, 0 */
#define RFORK_INFO		2	/* struct rfork_info */
#define RFORK_STOP		3	/* struct rfork_ctl */
#define RFORK_RESTART		4	/* struct rfork_ctl */

/* rfork_args.flags */
#define RFORK_ON_SIGNAL		0x1	/* on other fatal signals too, the OOM killer's */
#define RFORK_ON_STATUS		0x2	/* on any other non-zero status too */
#define RFORK_OUTLIVE		0x4	/* the group outlives its parent */
#define RFORK_NO_SPARE		0x8	/* slower, for a task and its memory less */
#define RFORK_NO_CHECKPOINT	0x10	/* RFORK_CHECKPOINT fails with EPERM */

/* The exit status that asks for a restart: ERESTART's number. */
#define RFORK_RESTART_STATUS	85

#define RFORK_DEFAULT_BURST	5
#define RFORK_DEFAULT_WINDOW_MS	10000
#define RFORK_BURST_UNLIMITED	0xffffffffu

struct rfork_args {
	__aligned_u64 flags;
	__aligned_u64 rfd;	/* where to store the descriptor (__s32), or 0 */
	__u32 exit_signal;	/* to the parent when an instance ends; 0: none */
	__u32 restart_status;	/* 1..255; 0: RFORK_RESTART_STATUS */
	__u32 burst;		/* restarts allowed within the window; 0: RFORK_DEFAULT_BURST */
	__u32 window_ms;	/* 0: RFORK_DEFAULT_WINDOW_MS */
	__u32 probation_ms;	/* see RFORK_END_POISONED; 0: off */
	__u32 reserved;		/* must be 0 */
};
#define RFORK_ARGS_SIZE_VER0	40

/* cause: why an instance ended */
#define RFORK_CAUSE_NONE	0	/* first instance: none ended before it */
#define RFORK_CAUSE_REQUEST	1	/* it exited with restart_status */
#define RFORK_CAUSE_ERROR	2	/* SIGSEGV SIGBUS SIGFPE SIGILL SIGTRAP SIGSYS SIGABRT */
#define RFORK_CAUSE_SIGNAL	3	/* another fatal signal */
#define RFORK_CAUSE_STATUS	4	/* another non-zero exit status */
#define RFORK_CAUSE_OPERATOR	5	/* RFORK_RESTART; not counted against the burst */
#define RFORK_CAUSE_HEARTBEAT	6	/* the same by its watcher; counted */
#define RFORK_CAUSE_EXIT	7	/* it exited with status 0 */

/* reason: why a group ended */
#define RFORK_END_EXIT		1	/* the instance's end is not one to restart on */
#define RFORK_END_STOP		2	/* RFORK_STOP */
#define RFORK_END_BURST		3	/* restart intensity exceeded */
#define RFORK_END_POISONED	4	/* a checkpoint's image crashed in probation */
#define RFORK_END_NO_IMAGE	5	/* no template could be made for the last instance */
#define RFORK_END_OWNER		6	/* the parent is gone */

/* rfork_event.type */
#define RFORK_EV_CHECKPOINT	1	/* the restart point moved; old_pid is the instance */
#define RFORK_EV_RESTART	2	/* new_pid runs in place of old_pid */
#define RFORK_EV_END		3	/* old_pid was the last instance; nothing follows */

/* rfork_event.flags, rfork_info.flags */
#define RFORK_WARM		0x1	/* the instance began from a checkpoint's image */
#define RFORK_NO_IMAGE		0x2	/* its next end is the group's: no template */
#define RFORK_SPARE		0x4	/* it began at once: a copy had been kept ahead */

/*
 * read(2) on the group's descriptor returns whole records, oldest first, and
 * blocks (or EAGAIN) where there is none; poll(2) says POLLIN, and POLLHUP
 * once the END record has been read. A gap in seq counts lost records.
 */
struct rfork_event {
	__aligned_u64 seq;	/* from 1 */
	__u32 type;
	__u32 cause;
	__s32 status;		/* of old_pid, as wait(2) gives it */
	__s32 old_pid;		/* PIDs as seen in the parent's PID namespace */
	__s32 new_pid;
	__u32 flags;
	__aligned_u64 generation; /* restarts so far */
	__aligned_u64 fail_ns;	/* CLOCK_MONOTONIC when the old instance failed */
	__aligned_u64 start_ns;	/* when the new one was about to run its first instruction */
	__u32 reason;		/* RFORK_END_*, with RFORK_EV_END */
	__u32 reserved;
};

struct rfork_info {
	__s32 rfd;		/* in: the group's descriptor, or -1: the caller's own group */
	__u32 cause;		/* of the end of the instance before this one */
	__s32 status;
	__s32 pid;		/* 0: between two instances, or after the last */
	__aligned_u64 generation;
	__u32 flags;
	__u32 reason;		/* RFORK_END_*; 0 while the group lives */
	__aligned_u64 fail_ns;
	__aligned_u64 start_ns;
};
#define RFORK_INFO_SIZE_VER0	48

struct rfork_ctl {
	__s32 rfd;
	__u32 signal;		/* sent to the instance; 0: none (STOP), SIGKILL (RESTART) */
	__u32 cause;		/* RESTART: RFORK_CAUSE_OPERATOR or _HEARTBEAT; STOP: 0 */
	__u32 reserved;		/* must be 0 */
};
#define RFORK_CTL_SIZE_VER0	16

#endif /* _UAPI_LINUX_RFORK_H */
