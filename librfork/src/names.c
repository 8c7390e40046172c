/* SPDX-License-Identifier: MIT */
#include "internal.h"

const char *rfork_cause_name(unsigned int cause)
{
	static const char *const names[] = {
		[RFORK_CAUSE_NONE] = "none", [RFORK_CAUSE_REQUEST] = "request",
		[RFORK_CAUSE_ERROR] = "error", [RFORK_CAUSE_SIGNAL] = "signal",
		[RFORK_CAUSE_STATUS] = "status", [RFORK_CAUSE_OPERATOR] = "operator",
		[RFORK_CAUSE_HEARTBEAT] = "heartbeat", [RFORK_CAUSE_EXIT] = "exit",
	};

	return cause < sizeof names / sizeof *names ? names[cause] : "unknown";
}

const char *rfork_end_name(unsigned int reason)
{
	static const char *const names[] = {
		[0] = "none", [RFORK_END_EXIT] = "exit", [RFORK_END_STOP] = "stop",
		[RFORK_END_BURST] = "burst", [RFORK_END_POISONED] = "poisoned",
		[RFORK_END_NO_IMAGE] = "no-image", [RFORK_END_OWNER] = "owner",
	};

	return reason < sizeof names / sizeof *names ? names[reason] : "unknown";
}
