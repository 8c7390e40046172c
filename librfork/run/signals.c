/* SPDX-License-Identifier: MIT */
/* Signals as a new process expects them. */
#include "run.h"
#include <sys/syscall.h>
#include <unistd.h>

/* The parent may have blocked or ignored signals that rfork-run waits for. It may also have left real-time signals
 * ignored by accident: glibc's posix_spawn(3) does so with the first two, which glibc's sigaction(2) refuses to change. */
void run_usual_signals(void)
{
	static const int waited_for[] = { SIGTERM, SIGINT, SIGUSR1, SIGCHLD };
	static const unsigned long usual[8];	/* the kernel's struct sigaction, with SIG_DFL */
	sigset_t set;

	for (int number = 32; number <= 64; number++)
		syscall(SYS_rt_sigaction, number, usual, NULL, 8L);

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof waited_for / sizeof *waited_for; i++) {
		sigaddset(&set, waited_for[i]);
		signal(waited_for[i], SIG_DFL);
	}
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}
