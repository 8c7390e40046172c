/* SPDX-License-Identifier: MIT */
/* A debugger attaches to an instance, reads and writes its memory, sees its crash; the next instance is not traced and can
 * be attached to as well. Nobody attaches to a template, or looks into it. */
#include "system.h"
#include <sys/ptrace.h>

#define ROUNDS 5

static volatile long secret = 1234;
static volatile pid_t *ready;

static _Noreturn void instance(void)
{
	EQUAL(secret, 1234);
	*ready = getpid();
	while (secret == 1234)
		pause_ms(1);
	CHECK(secret == 5678);
	abort();
}

static void wait_stopped(pid_t pid, int wanted)
{
	int status;

	CHECK(waitpid(pid, &status, __WALL) == pid);
	CHECK(WIFSTOPPED(status));
	EQUAL(WSTOPSIG(status), wanted);
}

/* Ends with the instance's crash, seen before it dies. */
static void debug(pid_t pid)
{
	CHECK(ptrace(PTRACE_ATTACH, pid, NULL, NULL) == 0);
	wait_stopped(pid, SIGSTOP);
	EQUAL(status_number(pid, "TracerPid"), getpid());
	EQUAL(ptrace(PTRACE_PEEKDATA, pid, &secret, NULL), 1234);
	CHECK(ptrace(PTRACE_POKEDATA, pid, &secret, 5678L) == 0);
	CHECK(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0);
	wait_stopped(pid, SIGABRT);
	EQUAL(ptrace(PTRACE_PEEKDATA, pid, &secret, NULL), 5678);
	CHECK(ptrace(PTRACE_CONT, pid, NULL, (long)SIGABRT) == 0);
}

static void check_template(void)
{
	pid_t template = find_template();
	char path[64], byte;
	int fd;

	CHECK(ptrace(PTRACE_ATTACH, template, NULL, NULL) < 0);
	EQUAL(errno, EPERM);
	snprintf(path, sizeof path, "/proc/%d/mem", template);
	fd = open(path, O_RDONLY);
	CHECK(fd < 0 || pread(fd, &byte, 1, (off_t)(uintptr_t)&secret) < 0);
	if (fd >= 0)
		close(fd);
	CHECK(is_template(template));
}

/* At the user level the tracer is not the parent: it reaps first, and then the monitor does. */
static void reap_traced(pid_t pid)
{
	int status;

	if (is_kernel_level())
		return;
	CHECK(waitpid(pid, &status, __WALL) == pid);
	EQUAL(WTERMSIG(status), SIGABRT);
}

int main(void)
{
	struct rfork_options options = options_for_many();
	int rfd;
	pid_t pid, last = 0;

	if (ptrace(PTRACE_CONT, getpid(), NULL, NULL) < 0 && errno == ENOSYS)
		SKIP("this system traces no processes");
	ready = shared(sizeof *ready);
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0)
		instance();
	for (int i = 0; i < ROUNDS; i++) {
		struct rfork_event event;

		EVENTUALLY(*ready && *ready != last);
		last = *ready;
		EQUAL(status_number(last, "TracerPid"), 0);
		if (is_kernel_level())
			check_template();
		debug(last);
		reap_traced(last);
		event = next_event(rfd, RFORK_EV_RESTART);
		EQUAL(event.old_pid, last);
		EQUAL(WTERMSIG(event.status), SIGABRT);
	}
	stop_group(rfd);
	return 0;
}
