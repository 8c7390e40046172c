/* SPDX-License-Identifier: MIT */
/* What the machine can do at best, measured in the same run. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

struct turn {
	volatile uint32_t word;	/* counts the turns; the waker adds one */
	volatile uint32_t back;
	volatile uint64_t sent;
};

static void await(volatile uint32_t *word, uint32_t old)
{
	while (__atomic_load_n(word, __ATOMIC_SEQ_CST) == old)
		syscall(SYS_futex, word, FUTEX_WAIT, old, NULL, NULL, 0);
}

static void pass(volatile uint32_t *word)
{
	__atomic_add_fetch(word, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static _Noreturn void waker(struct turn *turn, unsigned int count)
{
	for (uint32_t i = 0; i < count; i++) {
		await(&turn->back, i);
		turn->sent = now_ns();
		pass(&turn->word);
	}
	_exit(0);
}

/* From before FUTEX_WAKE in one process to after FUTEX_WAIT in another, both on the caller's CPU. */
void measure_futex(struct samples *samples, unsigned int count)
{
	int fd;
	struct turn *turn = shared_memory(sizeof *turn, &fd);
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0)
		waker(turn, count);
	for (uint32_t i = 0; i < count; i++) {
		pass(&turn->back);
		await(&turn->word, i);
		samples_add(samples, now_ns() - turn->sent);
	}
	waitpid(pid, NULL, 0);
	munmap(turn, sizeof *turn);
	close(fd);
}

static sigjmp_buf landing;

static void leap(int signal)
{
	(void)signal;
	siglongjmp(landing, 1);
}

/* From before the faulting instruction to after sigsetjmp, which saves the mask. */
void measure_segv(struct samples *samples, unsigned int count)
{
	struct sigaction action = { .sa_handler = leap }, before;
	volatile int *volatile nowhere = NULL;
	volatile uint64_t sent;

	sigaction(SIGSEGV, &action, &before);
	for (volatile unsigned int i = 0; i < count; i++) {
		if (sigsetjmp(landing, 1)) {
			samples_add(samples, now_ns() - sent);
			continue;
		}
		sent = now_ns();
		*nowhere = 0;
	}
	sigaction(SIGSEGV, &before, NULL);
}

void measure_clock(struct samples *samples, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		uint64_t first = now_ns();

		samples_add(samples, now_ns() - first);
	}
}
