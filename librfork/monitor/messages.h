/* SPDX-License-Identifier: MIT */
/*
 * The user level's messages. Owner and monitor talk over the group's descriptor
 * (events one way, commands the other); instances send notices to the monitor over
 * the control socket; the monitor starts instances through an image's socket.
 */
#ifndef RFORK_MESSAGES_H
#define RFORK_MESSAGES_H

#include <stdint.h>
#include "rfork_abi.h"

struct rfork_hello {		/* monitor to owner, once, with the group's descriptor */
	int32_t error;
};

struct rfork_command {		/* owner to monitor, with a socket for the reply */
	uint32_t cmd, signal, cause;
};

struct rfork_reply {
	int32_t error;
	int32_t reserved;
	struct rfork_info info;
};

enum { RFORK_NOTICE_CHECKPOINT = 1, RFORK_NOTICE_KEEPER = 2 };

struct rfork_notice {		/* instance to monitor */
	uint32_t type;
	int32_t pid;		/* CHECKPOINT: the image's, with its socket and one for the reply; KEEPER: whose memory it
				 * keeps, the sender being the keeper itself */
};

enum { RFORK_ORDER_AHEAD = 1 };	/* it will wait for long */

struct rfork_order {		/* monitor to image, with a pipe: make an instance that waits; answered with its PID */
	uint32_t how;		/* RFORK_ORDER_*; not 0 was AHEAD once */
};

struct rfork_go {		/* monitor to a waiting instance, through its pipe: its turn has come */
	uint64_t generation, fail_ns, start_ns;
	uint32_t cause, flags;
	int32_t status, reserved;
};

#endif
