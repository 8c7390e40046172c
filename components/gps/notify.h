/* SPDX-License-Identifier: MIT */
/* sd_notify's protocol in thirty lines: a device maker's C component needs no library for it. */
#ifndef GPS_NOTIFY_H
#define GPS_NOTIFY_H

#include <stdbool.h>

/*
 * Send state ("READY=1", "WATCHDOG=1") to $NOTIFY_SOCKET. Return 0 if sent or if it is unset, else -errno.
 * Without wait, return -EAGAIN if the queue is full: a heartbeat must not block the work.
 */
int notify(const char *state, bool wait);

/* Milliseconds between two WATCHDOG=1: half of $WATCHDOG_USEC; -1: no heartbeat is wanted. */
int notify_interval_ms(void);

#endif
