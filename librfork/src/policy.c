/* SPDX-License-Identifier: MIT */
/* The restart decision, as struct rfork_args and RFORK_CAUSE_* define it. */
#include <sys/wait.h>
#include "internal.h"

static bool is_error_signal(int signal)
{
	switch (signal) {
	case SIGSEGV: case SIGBUS: case SIGFPE: case SIGILL:
	case SIGTRAP: case SIGSYS: case SIGABRT:
		return true;
	default:
		return false;
	}
}

unsigned int rfork_classify(int status, unsigned int restart_status)
{
	if (WIFSIGNALED(status))
		return is_error_signal(WTERMSIG(status)) ? RFORK_CAUSE_ERROR : RFORK_CAUSE_SIGNAL;
	if ((unsigned int)WEXITSTATUS(status) == restart_status)
		return RFORK_CAUSE_REQUEST;
	return WEXITSTATUS(status) ? RFORK_CAUSE_STATUS : RFORK_CAUSE_EXIT;
}

/* A crash says something about the image; a wish does not. */
bool rfork_is_crash(unsigned int cause)
{
	return cause == RFORK_CAUSE_ERROR || cause == RFORK_CAUSE_SIGNAL ||
	       cause == RFORK_CAUSE_STATUS || cause == RFORK_CAUSE_HEARTBEAT;
}

bool rfork_restarts_on(unsigned int cause, uint64_t flags)
{
	switch (cause) {
	case RFORK_CAUSE_REQUEST: case RFORK_CAUSE_ERROR:
	case RFORK_CAUSE_OPERATOR: case RFORK_CAUSE_HEARTBEAT:
		return true;
	case RFORK_CAUSE_SIGNAL:
		return flags & RFORK_ON_SIGNAL;
	case RFORK_CAUSE_STATUS:
		return flags & RFORK_ON_STATUS;
	default:
		return false;
	}
}

void rfork_bucket_init(struct rfork_bucket *bucket, uint32_t burst, uint32_t window_ms)
{
	if (!burst)
		burst = RFORK_DEFAULT_BURST;
	if (!window_ms)
		window_ms = RFORK_DEFAULT_WINDOW_MS;
	bucket->limited = burst != RFORK_BURST_UNLIMITED;
	bucket->window_ns = (uint64_t)window_ms * RFORK_NSEC_PER_MSEC;
	bucket->interval_ns = bucket->window_ns / burst;
	bucket->full_at = 0;
}

/* A leaky bucket in its virtual scheduling form (the generic cell rate algorithm of
 * ATM): one number instead of a list of times. False: the intensity is exceeded. */
bool rfork_bucket_take(struct rfork_bucket *bucket, uint64_t now)
{
	uint64_t next = bucket->full_at > now ? bucket->full_at : now;

	if (bucket->limited && next + bucket->interval_ns - now > bucket->window_ns)
		return false;
	bucket->full_at = next + bucket->interval_ns;
	return true;
}
