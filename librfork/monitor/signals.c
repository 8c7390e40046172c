/* SPDX-License-Identifier: MIT */
/*
 * The monitor's signals: all are blocked and come through a descriptor, so that no
 * disposition but SIGCHLD's may have to be changed, and be given back in each instance.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "monitor.h"

/* Those that are meant for the instance where a process sent them to us by our PID. Of the others, SIGCHLD: a child
 * ended; SIGIO: the owner died (PR_SET_PDEATHSIG). */
static const int forwarded[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2 };
#define FORWARDED (sizeof forwarded / sizeof *forwarded)
#define AT_ONCE 8

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
	sigset_t all;
	int fd;

	program_mask = *instance_mask;
	take_action();
	sigfillset(&all);
	fd = signalfd(-1, &all, 0);
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
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &program_mask, NULL, sizeof(uint64_t));
}

/* The terminal's, the instance gets too. */
static bool is_for_instance(const struct signalfd_siginfo *info)
{
	if (info->ssi_code > 0)
		return false;
	for (size_t i = 0; i < FORWARDED; i++)
		if ((uint32_t)forwarded[i] == info->ssi_signo)
			return true;
	return false;
}

/* What is to be read, as a set of 1 << (signal - 1). */
uint64_t rfork_signals_pending(void)
{
	uint64_t set = 0;

	return syscall(SYS_rt_sigpending, &set, sizeof set) == 0 ? set : ~0ull;
}

/* Reads what has come: those meant for the instance, as a set of 1 << signal. True: somebody has sent one. */
bool rfork_signals_read(int fd, uint64_t *forward)
{
	struct signalfd_siginfo info[AT_ONCE];
	ssize_t got = read(fd, info, sizeof info);
	bool sent = false;

	*forward = 0;
	for (size_t i = 0; got > 0 && i < (size_t)got / sizeof *info; i++) {
		sent |= info[i].ssi_signo != SIGCHLD;
		if (is_for_instance(&info[i]))
			*forward |= 1ull << info[i].ssi_signo;
	}
	return sent;
}
