/* SPDX-License-Identifier: MIT */
/* What each backend can do. rfork(3) has the same as a table. */
#include "internal.h"

#define EVERYTHING 0x1fff

/* Fork handlers are reached with the CPU's trap flag. */
#if defined(__x86_64__) && !defined(__ILP32__)
#define CPU_LACKS 0
#else
#define CPU_LACKS (RFORK_CAN_CHECKPOINT | RFORK_CAN_RUN_HANDLERS_ONCE)
#endif

uint64_t rfork_features(enum rfork_backend backend)
{
	if (backend == RFORK_BACKEND_AUTO)
		backend = rfork_backend();
	switch (backend) {
	case RFORK_BACKEND_KERNEL:
	case RFORK_BACKEND_LINUX:
		return EVERYTHING & ~(uint64_t)CPU_LACKS;
	case RFORK_BACKEND_POSIX:
		return RFORK_CAN_CHECKPOINT | RFORK_CAN_HIDE_HELPERS;
	default:
		return 0;
	}
}
