/* SPDX-License-Identifier: MIT */
/* EXTEND_TIMEOUT_USEC= of sd_notify(3): more time to be ready, to restart or to stop, but not for ever. */
#include "run.h"

/* What the supervisor is told at the least. Each time that it is told is at least twice the time before, so that a stop makes few records. */
#define LEAST_TOLD_NS (1000 * RFORK_NSEC_PER_MSEC)

/* A new instance, or something new that an operator wants. */
void run_extend_begin(struct runner *r)
{
	r->extend_left = r->config->extend_max_ms * RFORK_NSEC_PER_MSEC;
	r->extend_told = r->extend_step = 0;
}

/* Moves a limit, never to an earlier time, and returns by how much it is later. */
static uint64_t move(uint64_t *limit, uint64_t wanted, uint64_t most_more)
{
	uint64_t before = *limit;

	if (!before || wanted <= before)
		return 0;
	*limit = wanted < before + most_more ? wanted : before + most_more;
	return *limit - before;
}

/* The supervisor has a limit of its own for a stop, which goes by the record. */
static void tell(struct runner *r, uint64_t now)
{
	uint64_t left = r->stop_by > now ? r->stop_by - now : 0, most = left + r->extend_left;

	if (r->stop_by <= r->extend_told)
		return;
	if (left < LEAST_TOLD_NS)
		left = LEAST_TOLD_NS;
	if (left < 2 * r->extend_step)
		left = 2 * r->extend_step;
	if (left > most)
		left = most;
	r->extend_step = left;
	r->extend_told = now + left;
	run_record(&r->log, "extend", "pid=%d ms=%llu", (int)r->pid,
		   (unsigned long long)((left + RFORK_NSEC_PER_MSEC - 1) / RFORK_NSEC_PER_MSEC));
}

void run_extend(struct runner *r, uint64_t ns)
{
	uint64_t *limits[] = { &r->ready_by, &r->kick_by, &r->end_by, &r->stop_by };
	uint64_t now = rfork_now(), used = 0;

	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
		uint64_t more = move(limits[i], now + ns, r->extend_left);

		if (more > used)
			used = more;
	}
	r->extend_left -= used;
	if (r->stop_by)
		tell(r, now);
}
