/* SPDX-License-Identifier: MIT */
/*
 * The monitor's signals. It blocks all, changes the disposition of the few that wake
 * it, and gives those back in each instance; the others stay as the program has them.
 */
#define _GNU_SOURCE
#include <string.h>
#include "internal.h"
#include "monitor.h"

/* SIGCHLD: an instance or an image ended. SIGIO: the owner died (PR_SET_PDEATHSIG).
 * The others, where a process sent them to us by our PID, are meant for the instance. */
static const int taken[] = { SIGCHLD, SIGIO, SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2 };
#define TAKEN (sizeof taken / sizeof *taken)
#define FIRST_FORWARDED 2

static struct sigaction before[TAKEN];
static sigset_t program_mask;
static volatile sig_atomic_t sent[TAKEN];

static void note(int signal, siginfo_t *info, void *context)
{
	(void)context;
	if (info->si_code > 0)
		return;		/* the terminal's: the instance gets it too */
	for (size_t i = FIRST_FORWARDED; i < TAKEN; i++)
		if (taken[i] == signal)
			sent[i] = 1;
}

void rfork_signals_take(const sigset_t *instance_mask)
{
	struct sigaction action = { .sa_sigaction = note, .sa_flags = SA_SIGINFO };

	program_mask = *instance_mask;
	sigfillset(&action.sa_mask);
	for (size_t i = 0; i < TAKEN; i++) {
		sent[i] = 0;
		sigaction(taken[i], &action, &before[i]);
	}
}

/* In an instance: the program's dispositions, then its mask. */
void rfork_signals_give_back(void)
{
	for (size_t i = 0; i < TAKEN; i++)
		sigaction(taken[i], &before[i], NULL);
	sigprocmask(SIG_SETMASK, &program_mask, NULL);
}

void rfork_signals_forward(pid_t instance)
{
	for (size_t i = FIRST_FORWARDED; i < TAKEN; i++) {
		if (!sent[i])
			continue;
		sent[i] = 0;
		if (instance > 0)
			kill(instance, taken[i]);
	}
}

void rfork_signals_wait_mask(sigset_t *mask)
{
	sigfillset(mask);
	for (size_t i = 0; i < TAKEN; i++)
		sigdelset(mask, taken[i]);
}
