/* SPDX-License-Identifier: MIT */
/* STATUS= of sd_notify(3): the last word of each second is recorded, after a burst less often. */
#include "run.h"
#include <stdio.h>
#include <string.h>

#define SPACING_NS (1000 * RFORK_NSEC_PER_MSEC)

static void tell(struct runner *r)
{
	char text[3 * RUN_STATUS_MAX + 1];

	run_quote(r->status, text, sizeof text);
	run_record(&r->log, "status", "pid=%d text=%s%s", (int)r->pid, text, run_rate_summary(&r->status_rate));
	r->status_at = 0;
	r->status_next = rfork_now() + SPACING_NS;
}

void run_status_said(struct runner *r, const char *text)
{
	if (!strcmp(text, r->status))
		return;
	snprintf(r->status, sizeof r->status, "%s", text);
	if (r->status_at)
		r->status_rate.left_out++;	/* the one that waited */
	else
		r->status_at = r->status_next ? r->status_next : 1;
	run_status_check(r);
}

void run_status_check(struct runner *r)
{
	if (!r->status_at || rfork_now() < r->status_at)
		return;
	if (run_rate_allows(&r->status_rate)) {
		tell(r);
		return;
	}
	r->status_at = run_rate_due(&r->status_rate);
	r->status_rate.left_out--;	/* it only waits */
}
