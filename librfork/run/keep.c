/* SPDX-License-Identifier: MIT */
/* --keep: between PID 1 and the supervisor. BusyBox init tries once to start what has ended, and where the process
 * table is full it never does again; this process is small, and goes on trying. */
#include "run.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A program that ends sooner is started again only after a pause of as long. */
#define SOON_NS (1000 * RFORK_NSEC_PER_MSEC)
/* After this many ends in a row, each sooner than STEADY_NS, the pause doubles from SOON_NS: what ends the program may
 * be what its own start costs the machine, memory above all. */
#define ACCIDENTS 5
#define STEADY_NS (10 * SOON_NS)
#define DOUBLINGS 3
#define RETRY_NS (100 * RFORK_NSEC_PER_MSEC)

static volatile sig_atomic_t program;	/* its PID */

static void pass_on(int signal)
{
	if (program > 0)
		kill(program, signal);
	else
		_exit(RUN_DONE);
}

static void pause_ns(uint64_t ns)
{
	struct timespec span = { .tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000) };

	nanosleep(&span, NULL);
}

/* It says who its keeper is only where PID 1 has started that one. */
static _Noreturn void become(const struct run_config *config, pid_t keeper, bool by_init)
{
	char text[24];

	prctl(PR_SET_PDEATHSIG, SIGKILL);	/* one supervisor at a time */
	if (getppid() != keeper)
		_exit(RUN_SYSTEM);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	snprintf(text, sizeof text, "%d", (int)keeper);
	if (by_init)
		setenv("KOBOSHI_KEEPER", text, 1);
	execv(config->argv[0], config->argv);
	run_fail("execute", config->argv[0]);
}

static int wait_for(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* How long to wait before the next start, after a run of this length. */
static uint64_t back_off(unsigned int *in_a_row, uint64_t lasted)
{
	unsigned int over;

	*in_a_row = lasted < STEADY_NS ? *in_a_row + 1 : 0;
	if (*in_a_row <= ACCIDENTS)
		return lasted < SOON_NS ? SOON_NS : 0;
	over = *in_a_row - ACCIDENTS - 1;
	return SOON_NS << (over < DOUBLINGS ? over : DOUBLINGS);
}

enum run_exit run_keep(const struct run_config *config)
{
	struct sigaction action = { .sa_handler = pass_on, .sa_flags = SA_RESTART };
	bool by_init = getppid() == 1;
	pid_t self = getpid();
	unsigned int in_a_row = 0;

	run_usual_signals();
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	for (;;) {
		uint64_t begun = rfork_now();
		int status;
		pid_t pid = fork();

		if (pid == 0)
			become(config, self, by_init);
		if (pid < 0) {
			pause_ns(RETRY_NS);
			continue;
		}
		program = pid;
		status = wait_for(pid);
		program = 0;
		/* An orderly end is an end: whoever shuts down wants no other one. */
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			return RUN_DONE;
		pause_ns(back_off(&in_a_row, rfork_now() - begun));
	}
}
