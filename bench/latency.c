/* SPDX-License-Identifier: MIT */
/*
 * Restart latency: from the instant an instance fails to the first statement of the next, at user and kernel
 * level, beside the yardsticks F, S, X and N(r), all in one run and in turns. One JSON object a line; README.md
 * says what its members mean.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

#define NS_PER_S 1000000000u
#define MAX_VARIANTS 32
#define YARDSTICK_COUNT 2000
#define PAUSE_FACTOR 3	/* of N(r): what a restart puts off must have time to be done */

static struct settings settings = {
	.sizes = { 1, 16, 256, 1024 }, .size_count = 4, .count = 1000, .rounds = 4, .pages = 64, .pause_us = 5000,
	.budget_s = 60, .causes = { true, true, true }, .loads = { true, true },
	.user = true, .kernel = true, .yardsticks = true,
};

static _Noreturn void usage(const char *what)
{
	fprintf(stderr,
		"latency: %s\n"
		"usage: latency [--sizes MB,MB...] [--count N] [--rounds N] [--causes exit,segv,kill]\n"
		"               [--loads paced,storm] [--backends user,kernel] [--pages N] [--pause-us N]\n"
		"               [--descriptors N] [--budget-s N] [--pin] [--no-yardsticks] [--histogram]\n", what);
	exit(EXIT_USAGE);
}

static unsigned int number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || end == text || !value || value > 100000000)
		usage("a number from 1 is expected");
	return (unsigned int)value;
}

static void read_sizes(char *list)
{
	settings.size_count = 0;
	for (char *part; (part = strsep(&list, ","));) {
		if (settings.size_count == sizeof settings.sizes / sizeof *settings.sizes)
			usage("too many sizes");
		settings.sizes[settings.size_count++] = number(part);
	}
}

static void choose(char *list, const char *const *names, bool *chosen, unsigned int count)
{
	memset(chosen, 0, count * sizeof *chosen);
	for (char *part; (part = strsep(&list, ","));) {
		unsigned int i = 0;

		while (i < count && strcmp(part, names[i]))
			i++;
		if (i == count)
			usage(part);
		chosen[i] = true;
	}
}

static void read_option(const char *name, char *value)
{
	static const char *const backends[] = { "user", "kernel" };
	bool chosen[2];

	if (!strcmp(name, "--sizes"))
		read_sizes(value);
	else if (!strcmp(name, "--count"))
		settings.count = number(value);
	else if (!strcmp(name, "--rounds"))
		settings.rounds = number(value);
	else if (!strcmp(name, "--pages"))
		settings.pages = number(value);
	else if (!strcmp(name, "--descriptors"))
		settings.descriptors = number(value);
	else if (!strcmp(name, "--pause-us"))
		settings.pause_us = number(value);
	else if (!strcmp(name, "--budget-s"))
		settings.budget_s = number(value);
	else if (!strcmp(name, "--causes"))
		choose(value, cause_names, settings.causes, CAUSES);
	else if (!strcmp(name, "--loads"))
		choose(value, load_names, settings.loads, LOADS);
	else if (!strcmp(name, "--backends")) {
		choose(value, backends, chosen, 2);
		settings.user = chosen[0];
		settings.kernel = chosen[1];
	} else {
		usage(name);
	}
}

static void read_arguments(char **argv)
{
	for (; *argv; argv++) {
		if (!strcmp(*argv, "--pin")) {
			settings.pinned = true;
		} else if (!strcmp(*argv, "--no-yardsticks")) {
			settings.yardsticks = false;
		} else if (!strcmp(*argv, "--histogram")) {
			settings.histogram = true;
		} else {
			if (!argv[1])
				usage(*argv);
			read_option(argv[0], argv[1]);
			argv++;
		}
	}
}

static unsigned int add(struct variant *variants, unsigned int count, struct variant model)
{
	for (enum load load = 0; load < LOADS; load++) {
		if (!settings.loads[load])
			continue;
		if (count == MAX_VARIANTS)
			usage("too many variants");
		model.load = load;
		variants[count++] = model;
	}
	return count;
}

/* Like is compared with like: X and N(r) fail by exit and by SIGSEGV too, or by what else alone was asked for. */
static bool has_yardsticks(enum cause cause)
{
	bool alone = !settings.causes[BY_EXIT] && !settings.causes[BY_SEGV];

	return settings.yardsticks && (cause != BY_KILL || alone);
}

static unsigned int make_variants(struct variant *variants)
{
	unsigned int count = 0;

	for (enum cause cause = 0; cause < CAUSES; cause++) {
		if (!settings.causes[cause])
			continue;
		if (has_yardsticks(cause)) {
			count = add(variants, count, (struct variant){ .name = "exec", .cause = cause, .run = run_exec });
			count = add(variants, count, (struct variant){ .name = "naive", .cause = cause, .run = run_naive });
		}
		if (settings.user)
			count = add(variants, count, (struct variant){ .name = "user", .cause = cause,
						.run = run_group, .backend = RFORK_BACKEND_USER });
		if (settings.kernel)
			count = add(variants, count, (struct variant){ .name = "kernel", .cause = cause,
						.run = run_group, .backend = RFORK_BACKEND_KERNEL });
	}
	return count;
}

static void print_head(const char *name, unsigned int megabytes)
{
	printf("{\"bench\": \"latency\", \"variant\": \"%s\", \"mb\": %u, \"cpus\": %u, ", name, megabytes,
	       settings.pinned ? 1 : settings.cpu_count);
}

static void print_yardstick(const char *name, unsigned int megabytes, struct samples *samples)
{
	print_head(name, megabytes);
	samples_print(samples, settings.histogram);
	printf("}\n");
	samples_drop(samples);
}

static void print_variant(struct variant *v, unsigned int megabytes, uint64_t pause_ns)
{
	struct series *s = &v->series;

	print_head(v->name, megabytes);
	printf("\"cause\": \"%s\", \"load\": \"%s\", \"busy\": %u, \"no_spare\": %u, ", cause_names[v->cause],
	       load_names[v->load], s->busy, s->no_spare);
	if (settings.descriptors)
		printf("\"descriptors\": %u, ", settings.descriptors);
	if (v->load == PACED && s->ready.count)
		printf("\"pages\": %u, \"ready_p50\": %" PRIu64 ", \"ready_p99\": %" PRIu64 ", \"pause_ns\": %" PRIu64 ", ",
		       settings.pages, samples_quantile(&s->ready, 50), samples_quantile(&s->ready, 99), pause_ns);
	if (v->load == STORM && s->storm_ns)
		printf("\"per_s\": %.1f, ", (double)s->storm_count * NS_PER_S / (double)s->storm_ns);
	samples_print(&s->latency, settings.histogram);
	printf("}\n");
	fflush(stdout);
}

/* Futex wake, signal and clock, on one CPU, a share in each round. */
static void measure_yardsticks(struct samples yardsticks[3])
{
	pid_t pid;
	int fd;
	struct samples *all = yardsticks;
	unsigned int count = YARDSTICK_COUNT / settings.rounds + 1;
	uint64_t *shared = shared_memory(3 * count * sizeof *shared, &fd);

	pid = fork();	/* pinned, and the others are not */
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		struct samples own[3] = { { 0 } };

		pin(0);
		measure_futex(&own[0], count);
		measure_segv(&own[1], count);
		measure_clock(&own[2], count);
		for (unsigned int i = 0; i < 3 * count; i++)
			shared[i] = own[i / count].values[i % count];
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	for (unsigned int i = 0; i < 3 * count; i++)
		samples_add(&all[i / count], shared[i]);
	munmap(shared, 3 * count * sizeof *shared);
	close(fd);
}

static uint64_t naive_p50(struct board *board, const struct memory *memory)
{
	struct variant v = { .name = "naive", .cause = BY_EXIT, .load = STORM };
	uint64_t p50;

	chunk_begin(board, &v, 20, 0, 2ull * NS_PER_S);
	run_naive(&v, board, memory, &v.series);
	chunk_end(board, &v.series);
	p50 = samples_quantile(&v.series.latency, 50);
	samples_drop(&v.series.latency);
	return p50;
}

static void run_chunk(struct variant *v, struct board *board, const struct memory *memory, uint64_t pause_ns)
{
	unsigned int count = (settings.count + settings.rounds - 1) / settings.rounds;
	uint64_t budget_ns = (uint64_t)settings.budget_s * NS_PER_S / settings.rounds;

	chunk_begin(board, v, count, pause_ns, budget_ns);
	v->run(v, board, memory, &v->series);
	chunk_end(board, &v->series);
}

/* As many as a process may have without asking for more. */
static void allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		die("getrlimit");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		die("setrlimit");
}

/* In turns: A B C, C B A, ... so that what drifts drifts under all of them. */
static void measure_size(unsigned int megabytes)
{
	struct variant variants[MAX_VARIANTS];
	unsigned int count = make_variants(variants);
	struct samples yardsticks[3] = { { 0 } };
	static const char *const names[] = { "futex", "segv-longjmp", "clock" };
	struct board *board = shared_memory(sizeof *board, &board_fd);
	struct memory memory;
	uint64_t pause_ns;

	memory_make(&memory, (size_t)megabytes * MEGABYTE);
	board->pages = settings.pages;
	board->descriptors = settings.descriptors;
	pause_ns = PAUSE_FACTOR * naive_p50(board, &memory);
	if (pause_ns < settings.pause_us * 1000ull)
		pause_ns = settings.pause_us * 1000ull;
	for (unsigned int round = 0; round < settings.rounds; round++) {
		if (settings.yardsticks)
			measure_yardsticks(yardsticks);
		for (unsigned int i = 0; i < count; i++)
			run_chunk(&variants[round % 2 ? count - 1 - i : i], board, &memory, pause_ns);
	}
	for (unsigned int i = 0; settings.yardsticks && i < 3; i++)
		print_yardstick(names[i], megabytes, &yardsticks[i]);
	for (unsigned int i = 0; i < count; i++)
		print_variant(&variants[i], megabytes, pause_ns);
}

/* In a process of its own, so that the next size begins with nothing. */
static int fork_size(unsigned int megabytes)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0) {
		measure_size(megabytes);
		exit(0);
	}
	if (waitpid(pid, &status, 0) < 0)
		die("waitpid");
	return status;
}

int main(int argc, char **argv)
{
	uint64_t first = now_ns();
	struct rlimit none = { 0, 0 };

	if (argc == 3 && !strcmp(argv[1], "--instance"))
		exec_instance(atoi(argv[2]), first);
	read_arguments(argv + 1);
	settings.cpu_count = cpus();
	setrlimit(RLIMIT_CORE, &none);
	allow_descriptors();
	if (settings.pinned)
		pin(0);
	if (settings.kernel && rfork_backend() != RFORK_BACKEND_KERNEL)
		settings.kernel = false;
	for (unsigned int i = 0; i < settings.size_count; i++)
		if (fork_size(settings.sizes[i]))
			return EXIT_SYSTEM;
	printf("{\"bench\": \"end\"}\n");
	return 0;
}
