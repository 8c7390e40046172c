/* SPDX-License-Identifier: MIT */
/* sd_notify's protocol in thirty lines: a device maker's C component needs no library for it. */
#ifndef GPS_NOTIFY_H
#define GPS_NOTIFY_H

#include <stdbool.h>

/*
 * Send state ("READY=1", "WATCHDOG=1") to $NOTIFY_SOCKET. 0: sent or nobody asked; else -errno.
 * Without wait, -EAGAIN where whoever reads it is behind: a heartbeat must not stop the work.
 */
int notify(const char *state, bool wait);

/* Milliseconds between two WATCHDOG=1: half of $WATCHDOG_USEC; -1: nobody asked. */
int notify_interval_ms(void);

#endif
