/* SPDX-License-Identifier: MIT */
/*
 * A guest of one program that tries to break rfork(2) of the kernel it runs on: it fuzzes the call, and makes each
 * allocation on its way fail in turn. PID 1 is main.c; what it prints is for workbench/trial/harden.py:
 *
 *   harden: progress PHASE calls=N groups=N faults=N findings=N rounds=N
 *   harden: finding: what is wrong
 *   harden: end calls=N groups=N faults=N findings=N rounds=N
 *   harden: error: what PID 1 itself could not do
 */
#ifndef HARDEN_H
#define HARDEN_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "rfork_abi.h"

#ifndef RFORK_NO_SPARE /* a kernel that keeps no spare */
#define RFORK_NO_SPARE 0
#define RFORK_SPARE 0
#endif
#define KNOWN_FLAGS (RFORK_ON_SIGNAL | RFORK_ON_STATUS | RFORK_OUTLIVE | RFORK_NO_SPARE | RFORK_NO_CHECKPOINT)

#define CGROUP "/cg"
#define FUZZ_CGROUP CGROUP "/fuzz"
#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* What all processes share, those that have executed a program anew too: a file in memory. */
#define SHARED_FILE "/tmp/shared"
#define FINDINGS_KEPT 64
struct shared {
	atomic_ullong calls, groups, faults, rounds;
	atomic_uint findings, printed;
	atomic_long reached; /* the last fault of a scenario */
	struct {
		atomic_int ready;
		char text[400];
	} finding[FINDINGS_KEPT];
};
extern struct shared *shared;

/* report.c */
void share(int create);
void finding(const char *format, ...) __attribute__((format(printf, 1, 2)));
void print_findings(void);
void print_counts(const char *what);
void fail(const char *what) __attribute__((noreturn));

/* chance.c: the same seed gives the same numbers; each thread has its own state */
void seed_chance(uint64_t seed, uint64_t stream);
uint64_t chance(void);
uint32_t below(uint32_t limit);
int one_in(uint32_t n);

/* system.c: what musl has no call for, and what the checks look at */
long long now_ms(void);
void nap_us(long us);
int write_file(const char *path, const char *text);
int write_number(const char *path, long number);
long read_number(const char *path);
ssize_t read_text(const char *path, char *text, size_t size);
int in_group(pid_t pid);
int is_template(pid_t pid);
int is_idle(pid_t pid);
int user_tasks(void);
void show_tasks(const char *why);
int reap_all(int seconds);
int reap(pid_t pid, int seconds);
int kill_children(int seconds);
void drop_to_user(void);

/* leaks.c */
void leaks_begin(void);
void leaks_look(const char *when);

/* call.c: the call itself; in the new instance it does not return */
struct outcome {
	unsigned int cmd;
	long result;
	uint64_t allowed; /* errors, a bit each */
	int may_succeed;
};
#define BIT(error) (1ull << (error))
extern int faulty; /* allocations of this process and its children fail now and then */
extern int depth;  /* groups that this process is in */
long rfork_call(unsigned int cmd, void *arg, size_t size);
void judge_call(const struct outcome *outcome);

/* arguments.c */
int arguments_init(void);
void bad_call(void);
void wild_call(void);
void call_with_descriptor(int fd);

/* groups.c: the groups of a worker */
#define GROUPS 4
struct owned_group {
	int used, rfd, ended;
	pid_t first, last; /* instance, as far as it is known */
	uint64_t seq, generation;
};
extern struct owned_group groups[GROUPS];
struct owned_group *group_any(void);
void group_create(void);
void group_read(struct owned_group *group);
void group_control(struct owned_group *group);
void group_forget(struct owned_group *group);
void groups_stop(void);

/* meddle.c: what others may do to an instance or a template */
void send_signal(pid_t pid, int number);
void meddle(struct owned_group *group);
void meddle_init(int worker);
void meddle_end(void);

/* owners.c: processes that own groups for a moment, in other circumstances */
void short_owner(void);

/* instance.c */
void instance(void) __attribute__((noreturn));
void instance_after_exec(char **arguments) __attribute__((noreturn));

/* worker.c, fuzz.c, inject.c */
void worker(uint64_t seed, int number) __attribute__((noreturn));
void fuzz(uint64_t seed, long long end_ms, unsigned long long calls);
void inject(void);

#endif
