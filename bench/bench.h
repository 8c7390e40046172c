/* SPDX-License-Identifier: MIT */
/* What the parts of the latency benchmark share. Times are CLOCK_MONOTONIC in nanoseconds. */
#ifndef BENCH_H
#define BENCH_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "rfork.h"

#define BOARD_SLOTS 4096	/* instances of one chunk, at most */
#define MEGABYTE (1024u * 1024u)
#define EXIT_USAGE 100
#define EXIT_SYSTEM 111

enum cause { BY_EXIT, BY_SEGV, BY_KILL, CAUSES };
enum load { PACED, STORM, LOADS };
extern const char *const cause_names[CAUSES];
extern const char *const load_names[LOADS];

/* fail: taken by instance k-1 right before it fails; start: by instance k as its first
 * statement; ready: when k has written its pages. */
struct times {
	uint64_t fail, start, ready;
};

/* Memory shared by all instances of a chunk, touched before the first begins. */
struct board {
	uint32_t next;		/* the instance that begins is number next++ */
	uint32_t last;		/* the instance that ends the chunk */
	uint32_t busy;		/* the name was still held by the dead instance */
	uint32_t pages;		/* written by each instance in the paced load */
	uint32_t descriptors;	/* opened by each there, sockets in pairs */
	uint32_t cause, load;
	uint64_t pause_ns;	/* from ready to fail, paced */
	uint64_t deadline;	/* the instance that begins later ends the chunk */
	pid_t owner;
	struct times at[BOARD_SLOTS];
};

struct memory {			/* what an instance has of its own */
	unsigned char *bytes;
	size_t size;
};

struct samples {
	uint64_t *values;
	size_t count, room;
};

/* A variant's results so far. */
struct series {
	struct samples latency, ready;
	uint64_t storm_ns;	/* first start to last start, of all chunks */
	uint64_t storm_count;
	uint32_t busy, no_spare;
};

struct variant {
	const char *name;	/* "user", "kernel", "exec", "naive" */
	enum cause cause;
	enum load load;
	void (*run)(const struct variant *variant, struct board *board, const struct memory *memory,
		    struct series *series);
	enum rfork_backend backend;
	struct series series;
};

struct settings {
	unsigned int sizes[16], size_count;	/* MB */
	unsigned int count;	/* restarts of each variant */
	unsigned int rounds;
	unsigned int pages, descriptors;
	unsigned int pause_us;	/* at least; and at least 3 N(r) */
	unsigned int budget_s;	/* of one variant at one size */
	unsigned int cpu_count;
	bool pinned;
	bool causes[CAUSES], loads[LOADS], user, kernel, yardsticks, histogram;
};

/* util.c */
uint64_t now_ns(void);
_Noreturn void die(const char *what);
void *shared_memory(size_t size, int *fd);
void pin(int cpu);
unsigned int cpus(void);

/* stats.c */
void samples_add(struct samples *samples, uint64_t value);
uint64_t samples_quantile(struct samples *samples, unsigned int percent);
void samples_print(struct samples *samples, bool histogram);
void samples_drop(struct samples *samples);

/* life.c */
_Noreturn void live(struct board *board, const struct memory *memory, uint64_t first);
int hold_name(pid_t owner);
void memory_make(struct memory *memory, size_t size);

/* restart.c */
void run_group(const struct variant *v, struct board *b, const struct memory *m, struct series *s);
void run_naive(const struct variant *v, struct board *b, const struct memory *m, struct series *s);
void run_exec(const struct variant *v, struct board *b, const struct memory *m, struct series *s);
_Noreturn void exec_instance(int board_fd, uint64_t first);
void chunk_begin(struct board *b, const struct variant *v, unsigned int count, uint64_t pause_ns, uint64_t budget_ns);
void chunk_end(const struct board *b, struct series *s);
extern int board_fd;

/* yardsticks.c: one-way futex wake on the same CPU, SIGSEGV to siglongjmp, two clock readings */
void measure_futex(struct samples *samples, unsigned int count);
void measure_segv(struct samples *samples, unsigned int count);
void measure_clock(struct samples *samples, unsigned int count);

#endif
