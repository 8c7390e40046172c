/* SPDX-License-Identifier: MIT */
/* The checkpoint as a program calls it: what speaks against it, and the words for that. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "../monitor/user.h"
#include "internal.h"

#define KNOWN_FLAGS (RFORK_KEEP_LOCKS | RFORK_RESEED)

static char problem[512], shared[160];

const char *rfork_problem(void)
{
	return problem;
}

const char *rfork_shared(void)
{
	return shared;
}

/* What the process holds; -errno where that forbids a checkpoint. */
static int check_held(uint64_t flags)
{
	struct rfork_held held;

	rfork_held_find(&held);
	memcpy(shared, held.shared, sizeof shared);
	if (!*held.lock || flags & RFORK_KEEP_LOCKS)
		return 0;
	snprintf(problem, sizeof problem,
		 "%s has a record lock, which the next instance would not have: open the file or database after the checkpoint",
		 held.lock);
	return -ENOLCK;
}

static int check(uint64_t flags)
{
	struct rfork_info info;
	int rc = rfork_query(-1, &info);

	if (rc < 0)
		return rc;
	if (flags & ~(uint64_t)KNOWN_FLAGS)
		return -EINVAL;
	return rfork_single_threaded() ? check_held(flags) : -EBUSY;
}

int64_t rfork_checkpoint_with(uint64_t flags)
{
	bool without_handlers = flags & RFORK_RESEED;
	int64_t rc;

	*problem = *shared = '\0';
	rc = check(flags);
	if (rc < 0)
		return rc;
	rc = rfork_self() ? rfork_user_checkpoint(without_handlers) : rfork_kernel_checkpoint(without_handlers);
	if (rc == -EOPNOTSUPP)
		snprintf(problem, sizeof problem, "the handlers of pthread_atfork(3) cannot be reached (under a debugger, or on "
			 "this CPU), and instances would draw the same random numbers: see RFORK_RESEED in rfork(3)");
	else if (rc == -EDEADLK)
		snprintf(problem, sizeof problem, "called by a fork handler, which another checkpoint runs");
	else if (rc >= 0)
		*problem = '\0';	/* of a handler's own try */
	return rc;
}

/* In one piece, past all buffers. */
static void say(const char *what, const char *text)
{
	char line[600];
	int length = snprintf(line, sizeof line, "rfork: %s: %s\n", what, text);
	ssize_t written = write(STDERR_FILENO, line, (size_t)length);

	(void)written;
}

/* Programs that do not look at the result are not to go on without a word. */
int64_t rfork_checkpoint(void)
{
	static char said[sizeof shared];
	int saved = errno;
	int64_t rc = rfork_checkpoint_with(0);

	if (rc < 0 && *problem)
		say("no checkpoint", problem);
	if (rc == 0 && strcmp(said, shared)) {
		memcpy(said, shared, sizeof said);
		if (*shared)
			say("each instance shares with the one before it", shared);
	}
	errno = saved;
	return rc;
}
