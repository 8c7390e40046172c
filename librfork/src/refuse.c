/* SPDX-License-Identifier: MIT */
/* The checkpoint as a program calls it: what speaks against it, and the words for that. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "../monitor/user.h"
#include "../posix/posix.h"
#include "internal.h"

#define KNOWN_FLAGS (RFORK_KEEP_LOCKS | RFORK_RESEED | RFORK_REBUILD)

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

	rfork_held_find(&held, flags & RFORK_REBUILD);
	memcpy(shared, held.shared, sizeof shared);
	if (!*held.lock || flags & RFORK_KEEP_LOCKS)
		return 0;
	snprintf(problem, sizeof problem,
		 "%s has a record lock, which the next instance would not have: open the file or database after the checkpoint",
		 held.lock);
	return -ENOLCK;
}

static int note_objects(void)
{
	char which[64];
	int rc = rfork_rebuild_note(which, sizeof which);

	if (rc == -EOPNOTSUPP)
		snprintf(problem, sizeof problem, "%s cannot be made again in each instance: %s", *which ? which : "RFORK_REBUILD",
			 *which ? "this kernel does not say what it holds" : "there is no /proc/self/fd");
	return rc;
}

static int check(uint64_t flags)
{
	struct rfork_info info;
	int rc = rfork_query(-1, &info);

	if (rc < 0)
		return rc;
	if (flags & ~(uint64_t)KNOWN_FLAGS)
		return -EINVAL;
	if (!rfork_single_threaded())
		return -EBUSY;
	rc = check_held(flags);
	return rc == 0 && flags & RFORK_REBUILD ? note_objects() : rc;
}

/* In one piece, past all buffers. */
static void say(const char *what, const char *text)
{
	char line[600];
	int length = snprintf(line, sizeof line, "rfork: %s: %s\n", what, text);
	ssize_t written = write(STDERR_FILENO, line, (size_t)length);

	(void)written;
}

/* An instance that shares an object with a dead one, though it was promised its own, must not go on. */
static void rebuild(void)
{
	const char *failed = rfork_rebuild_make();

	if (!failed)
		return;
	say("cannot make again in this instance", failed);
	abort();
}

/* sd_listen_fds(3) takes the descriptors only in the process that LISTEN_PID names. */
static void name_in_listen_pid(pid_t before)
{
	const char *value = getenv("LISTEN_PID");
	char text[16];

	if (!value || atol(value) != before)
		return;
	snprintf(text, sizeof text, "%d", (int)getpid());
	setenv("LISTEN_PID", text, 1);
}

static int64_t checkpoint_posix(uint64_t flags)
{
	pid_t before = getpid();
	int64_t rc;

	if (flags & RFORK_REBUILD) {
		snprintf(problem, sizeof problem, "shared objects cannot be made again: POSIX does not say what they hold");
		return -EOPNOTSUPP;
	}
	rc = rfork_posix_checkpoint(flags, problem, sizeof problem);
	if (rc > 0)
		name_in_listen_pid(before);
	return rc;
}

int64_t rfork_checkpoint_with(uint64_t flags)
{
	bool without_handlers = flags & RFORK_RESEED;
	pid_t before = getpid();
	int64_t rc;

	*problem = *shared = '\0';
	if (rfork_posix_self())
		return checkpoint_posix(flags);
	rc = check(flags);
	if (rc < 0)
		return rc;
	rc = rfork_self() ? rfork_user_checkpoint(without_handlers) : rfork_kernel_checkpoint(without_handlers);
	if (rc > 0)
		name_in_listen_pid(before);
	if (rc > 0 && flags & RFORK_REBUILD)
		rebuild();
	if (rc == -EOPNOTSUPP)
		snprintf(problem, sizeof problem, "the handlers of pthread_atfork(3) cannot be reached (under a debugger, or on "
			 "this CPU), and instances would draw the same random numbers: see RFORK_RESEED in rfork(3)");
	else if (rc == -EDEADLK)
		snprintf(problem, sizeof problem, "called by a fork handler, which another checkpoint runs");
	else if (rc >= 0)
		*problem = '\0';	/* of a handler's own try */
	return rc;
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
