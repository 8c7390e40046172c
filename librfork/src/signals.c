/* SPDX-License-Identifier: MIT */
/*
 * The monitor's signals: all are blocked, and the few that concern it come through a descriptor, so that no
 * disposition but SIGCHLD's may have to be changed, and be given back in each instance.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "internal.h"
#include "monitor.h"

/* SIGCHLD: an instance or an image ended. SIGIO: the owner died (PR_SET_PDEATHSIG).
 * The others, where a process sent them to us by our PID, are meant for the instance. */
static const int taken[] = { SIGCHLD, SIGIO, SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2 };
#define TAKEN (sizeof taken / sizeof *taken)
#define FIRST_FORWARDED 2

static struct sigaction program_action;	/* of SIGCHLD */
static bool action_changed;
static sigset_t program_mask;

/* Whoever ignores SIGCHLD is told nothing about its children. */
static void take_action(void)
{
	static const struct sigaction usual = { .sa_handler = SIG_DFL };

	sigaction(SIGCHLD, NULL, &program_action);
	action_changed = program_action.sa_handler != SIG_DFL ||
			 program_action.sa_flags & (SA_NOCLDSTOP | SA_NOCLDWAIT);
	if (action_changed)
		sigaction(SIGCHLD, &usual, NULL);
}

/* The descriptor, or -errno. */
int rfork_signals_take(const sigset_t *instance_mask)
{
	sigset_t wanted;
	int fd;

	program_mask = *instance_mask;
	take_action();
	sigemptyset(&wanted);
	for (size_t i = 0; i < TAKEN; i++)
		sigaddset(&wanted, taken[i]);
	fd = signalfd(-1, &wanted, 0);
	if (fd < 0)
		return -errno;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return rfork_wire_raise(fd);
}

/* In an instance: the program's disposition, then its mask. */
void rfork_signals_give_back(void)
{
	if (action_changed)
		sigaction(SIGCHLD, &program_action, NULL);
	sigprocmask(SIG_SETMASK, &program_mask, NULL);
}

/* Reads what has come: those meant for the instance, as a set of 1 << signal. */
uint64_t rfork_signals_read(int fd)
{
	struct signalfd_siginfo info[TAKEN];
	ssize_t got = read(fd, info, sizeof info);
	uint64_t set = 0;

	for (size_t n = 0; got > 0 && n < (size_t)got / sizeof *info; n++) {
		if (info[n].ssi_code > 0)
			continue;	/* the terminal's: the instance gets it too */
		for (size_t i = FIRST_FORWARDED; i < TAKEN; i++)
			if ((uint32_t)taken[i] == info[n].ssi_signo)
				set |= 1ull << taken[i];
	}
	return set;
}
