/* SPDX-License-Identifier: MIT */
/* How often a component can make this process record something: a burst, then one record per interval that also says how many
 * were left out. Without it a component could push the news of all others out of the log. */
#include "run.h"
#include <stdio.h>

#define BURST 10
#define INTERVAL_NS (6000 * RFORK_NSEC_PER_MSEC)

/* Whether there may be a record now. */
bool run_rate_allows(struct run_rate *rate)
{
	uint64_t now = rfork_now();

	if (rate->full_until < now)
		rate->full_until = now;
	if (rate->full_until - now > (BURST - 1) * INTERVAL_NS) {
		rate->left_out++;
		return false;
	}
	rate->full_until += INTERVAL_NS;
	return true;
}

/* When a record that was left out may be made up for; 0: none was. */
uint64_t run_rate_due(const struct run_rate *rate)
{
	return rate->left_out ? rate->full_until - (BURST - 1) * INTERVAL_NS : 0;
}

/* Whether to make up for a record that was left out: it is in the log then, and no more among those left out. At the end of an
 * instance that is not put off. */
bool run_rate_makes_up(struct run_rate *rate, bool now)
{
	uint64_t due = run_rate_due(rate);

	if (!due || (!now && (rfork_now() < due || !run_rate_allows(rate))))
		return false;
	rate->left_out--;
	return true;
}

/* For the end of a record: " left_out=N", or nothing. */
const char *run_rate_summary(struct run_rate *rate)
{
	static char text[40];

	text[0] = '\0';
	if (rate->left_out)
		snprintf(text, sizeof text, " left_out=%llu", (unsigned long long)rate->left_out);
	rate->left_out = 0;
	return text;
}
