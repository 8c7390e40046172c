/* SPDX-License-Identifier: MIT */
/* Another process, held with ptrace(2) while something is done to it. */
#ifndef FAULT_VICTIM_H
#define FAULT_VICTIM_H

#include <stddef.h>
#include <sys/types.h>

/* Each exits with 111 and a line on standard error when a system call fails. */

/* Stop it. Signals that arrive meanwhile are passed on. */
void victim_hold(pid_t pid);

/* Write code over its program and let it go on there, out of any system call it was in. */
void victim_divert(pid_t pid, const unsigned char *code, size_t size);

/* "PID", or the name of a component: its PID from its runner's events or the supervisor's status. -1: not found. */
pid_t victim_find(const char *run, const char *text);

_Noreturn void die(const char *what, pid_t pid, int error);

#endif
