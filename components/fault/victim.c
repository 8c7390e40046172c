/* SPDX-License-Identifier: MIT */
#include "victim.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

void victim_hold(pid_t pid)
{
	int status, signal;

	/* PTRACE_SEIZE is younger than Linux 2.6.23. */
	if (ptrace(PTRACE_ATTACH, pid, NULL, NULL))
		die("cannot attach to", pid, errno);
	for (;;) {
		if (waitpid(pid, &status, __WALL) != pid)
			die("cannot wait for", pid, errno);
		if (!WIFSTOPPED(status))
			die("it ended meanwhile:", pid, ESRCH);
		signal = WSTOPSIG(status);
		if (signal == SIGSTOP)
			return;
		/* It was about to get this one: our stop comes after it. */
		if (ptrace(PTRACE_CONT, pid, NULL, (void *)(long)signal))
			die("cannot continue", pid, errno);
	}
}

/* Start of the program's first executable mapping: the code there is as good as any other, it will not be needed. */
static unsigned long code_address(pid_t pid)
{
	char path[64], line[512], flags[8];
	unsigned long start, end, found = 0;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	if (!maps)
		die("cannot read the maps of", pid, errno);
	while (!found && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx %7s", &start, &end, flags) == 3 && flags[2] == 'x' && flags[3] == 'p')
			found = start;
	fclose(maps);
	if (!found)
		die("no executable mapping in", pid, ENOEXEC);
	return found;
}

/* The tracer's writes ignore the page's protection and go to a private copy of it. */
static void poke(pid_t pid, unsigned long address, const unsigned char *code, size_t size)
{
	for (size_t at = 0; at < size; at += sizeof(long)) {
		long word = 0;

		memcpy(&word, code + at, size - at < sizeof(long) ? size - at : sizeof(long));
		if (ptrace(PTRACE_POKETEXT, pid, (void *)(address + at), (void *)word))
			die("cannot write into", pid, errno);
	}
}

void victim_divert(pid_t pid, const unsigned char *code, size_t size)
{
	struct user_regs_struct registers;

	if (ptrace(PTRACE_GETREGS, pid, NULL, &registers))
		die("cannot read the registers of", pid, errno);
	registers.rip = code_address(pid);
	/* Not in a system call: otherwise the kernel steps rip back to restart the one it was in. */
	registers.orig_rax = (unsigned long)-1;
	poke(pid, registers.rip, code, size);
	if (ptrace(PTRACE_SETREGS, pid, NULL, &registers))
		die("cannot set the registers of", pid, errno);
	if (ptrace(PTRACE_DETACH, pid, NULL, NULL))
		die("cannot detach from", pid, errno);
}
