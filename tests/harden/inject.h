/* SPDX-License-Identifier: MIT */
/* What inject.c offers to the scenarios, and these to it. */
#ifndef INJECT_H
#define INJECT_H

#include <sys/types.h>

struct scenario {
	const char *name;
	void (*prepare)(void);
	int (*once)(long nth); /* whether the fault came: if not, all is done */
	long at_least;	       /* where that cannot be told */
};
extern const struct scenario scenarios[];

void arm(long nth);
int disarm(void);
void own_faults(void);
void fail_all_of(pid_t pid);
void arm_other(pid_t pid, long nth);
int fired_in_other(pid_t pid);
int await_fault(pid_t pid);
pid_t find_template(void);
pid_t find_second_template(void);
void check_clean(const char *what, long nth, int lowest);
int lowest_descriptor(void);

#endif
