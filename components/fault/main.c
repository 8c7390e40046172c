/* SPDX-License-Identifier: MIT */
/*
 * koboshi-fault: cause a real failure in a process that does not cooperate.
 *
 * The victim is stopped with ptrace(2), made to execute code that goes wrong as programs go wrong
 * (a wild pointer, abort, a loop, a leak), and let go. It is not traced when it fails, so the
 * kernel and the supervisor see an ordinary failure. x86-64 only.
 */
#include "victim.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stubs.h"

enum { WRONG_USE = 100, FAILED = 111 };

_Noreturn void die(const char *what, pid_t pid, int error)
{
	fprintf(stderr, "koboshi-fault: %s %d: %s\n", what, (int)pid, strerror(error));
	exit(FAILED);
}

static _Noreturn void usage(void)
{
	fprintf(stderr,
		"usage: koboshi-fault [--run DIR] PID|NAME KIND\n"
		"  wild     load through a wild pointer (SIGSEGV)\n"
		"  abort    what abort(3) does (SIGABRT)\n"
		"  request  exit_group(85): ask to be restarted\n"
		"  kill     SIGKILL\n"
		"  hang     loop for ever, without heartbeat\n"
		"  leak     take memory until the kernel kills it, or refuses (then as wild)\n"
		"  stack    endless recursion (SIGSEGV)\n"
		"NAME is looked up in DIR (default /run/koboshi).\n");
	exit(WRONG_USE);
}

static void inflict(pid_t pid, const char *kind, const struct stub *stub)
{
	if (!stub) {
		if (kill(pid, SIGKILL))
			die("cannot kill", pid, errno);
	} else {
		victim_hold(pid);
		victim_divert(pid, stub->code, stub->size);
	}
	printf("fault %d %s\n", (int)pid, kind);
}

int main(int argc, char **argv)
{
	const char *run = "/run/koboshi";
	const struct stub *stub;
	pid_t pid;

	if (argc == 5 && strcmp(argv[1], "--run") == 0) {
		run = argv[2];
		argv += 2;
		argc -= 2;
	}
	if (argc != 3)
		usage();
	stub = stub_find(argv[2]);
	if (!stub && strcmp(argv[2], "kill") != 0)
		usage();
	pid = victim_find(run, argv[1]);
	if (pid <= 1 || pid == getpid()) {
		fprintf(stderr, "koboshi-fault: %s: not a process to break; the PID or the name of a component "
			"that runs (found in %s) would be right\n", argv[1], run);
		return WRONG_USE;
	}
	inflict(pid, argv[2], stub);
	return 0;
}
