/* SPDX-License-Identifier: MIT */
/* An instance, from the restart point to its program. */
#include "run.h"
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define CANNOT_EXECUTE 126
#define NOT_FOUND 127

static void limit(const struct run_config *config)
{
	for (unsigned int i = 0; i < config->limit_count; i++) {
		struct rlimit both = { config->limits[i].value, config->limits[i].value };

		if (setrlimit(config->limits[i].resource, &both) < 0)
			run_fail("setrlimit", "");
	}
}

static void become_user(const struct run_config *config)
{
	pid_t parent = getppid();

	if ((config->user || config->group_count) && setgroups(config->group_count, config->groups) < 0)
		run_fail("setgroups", config->user ? config->user : "");
	if (!config->user)
		return;
	if (setgid(config->gid) < 0)
		run_fail("setgid", config->user);
	if (setuid(config->uid) < 0)
		run_fail("setuid", config->user);
	/* A change of user clears what ties a user-level instance to its monitor. */
	if (rfork_backend() == RFORK_BACKEND_LINUX) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(RUN_SYSTEM);
	}
}

static void set_number(const char *name, unsigned long long value)
{
	char text[24];

	snprintf(text, sizeof text, "%llu", value);
	setenv(name, text, 1);
}

static void set_environment(const struct run_config *config, const struct run_origin *origin)
{
	int64_t generation = rfork_generation();
	int cause = rfork_cause();

	for (unsigned int i = 0; i < config->environment_count; i++)
		putenv(config->environment[i]);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	if (run_wants_notify(config))
		setenv("NOTIFY_SOCKET", run_notify_name(), 1);
	if (config->heartbeat_ms)
		set_number("WATCHDOG_USEC", config->heartbeat_ms * 1000ull);
	if (generation <= 0) {	/* the first of this group is not always the first of all */
		generation = 0;
		cause = (int)origin->cause;
	}
	set_number("RFORK_GENERATION", origin->generation + (unsigned long long)generation);
	setenv("RFORK_CAUSE", rfork_cause_name((unsigned int)cause), 1);
}

/* Before they are let in: a stop that came early must end the instance and not be
 * swallowed by the runner's own handler. */
static void reset_signals(const struct run_origin *origin)
{
	static const int taken[] = { SIGTERM, SIGINT, SIGUSR1 };

	for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
		signal(taken[i], SIG_DFL);
	sigaction(SIGPIPE, &origin->pipe, NULL);
	sigprocmask(SIG_SETMASK, &origin->mask, NULL);
}

_Noreturn void run_child(const struct run_config *config, const struct run_origin *origin)
{
	char text[RUN_ERROR_MAX + 1];
	int error;
	int64_t restarts = rfork_generation();
	uint64_t generation = origin->generation + (uint64_t)(restarts > 0 ? restarts : 0);

	run_exec_give(config, generation);
	run_oom_usual();
	run_ready_fd_give(config, generation);
	run_cgroup_enter(config, generation == 0);
	run_output_give(config, generation);
	/* The first instance's was removed before it began. */
	if (rfork_generation() > 0)
		run_forget_ready_file(config);
	set_environment(config, origin);
	run_listen_give(config);
	limit(config);
	run_mounts(config);
	run_confine_root(config);
	run_confine_before(config);
	become_user(config);
	run_confine_after(config);
	if (config->directory && chdir(config->directory) < 0)
		run_fail("chdir", config->directory);
	reset_signals(origin);
	run_exec_begin();
	execvp(config->argv[0], config->argv);
	error = errno;
	run_complain("cannot execute", config->argv[0], error);
	run_problem_text(text, "cannot execute", config->argv[0], error);
	run_channel_fail(text);
	_exit(error == ENOENT ? NOT_FOUND : CANNOT_EXECUTE);
}
