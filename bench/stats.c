/* SPDX-License-Identifier: MIT */
/* Quantiles, mean, deviation and a histogram of samples, as members of a JSON object. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "bench.h"

#define STEPS 16	/* of the histogram in an octave: 4.4 % */

void samples_add(struct samples *samples, uint64_t value)
{
	if (samples->count == samples->room) {
		samples->room = samples->room ? 2 * samples->room : 1024;
		samples->values = realloc(samples->values, samples->room * sizeof *samples->values);
		if (!samples->values)
			die("realloc");
	}
	samples->values[samples->count++] = value;
}

static int compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

static void sort(struct samples *samples)
{
	if (samples->count)
		qsort(samples->values, samples->count, sizeof *samples->values, compare);
}

/* The nearest rank. */
static uint64_t rank(const struct samples *samples, unsigned int percent)
{
	size_t index = (samples->count * percent + 99) / 100;

	return samples->values[index ? index - 1 : 0];
}

uint64_t samples_quantile(struct samples *samples, unsigned int percent)
{
	sort(samples);
	return samples->count ? rank(samples, percent) : 0;
}

static double mean(const struct samples *samples)
{
	double sum = 0;

	for (size_t i = 0; i < samples->count; i++)
		sum += (double)samples->values[i];
	return sum / (double)samples->count;
}

static double deviation(const struct samples *samples, double centre)
{
	double sum = 0;

	for (size_t i = 0; i < samples->count; i++) {
		double off = (double)samples->values[i] - centre;

		sum += off * off;
	}
	return samples->count > 1 ? sqrt(sum / (double)(samples->count - 1)) : 0;
}

static uint64_t step_of(uint64_t value)
{
	return (uint64_t)floor(log2((double)(value ? value : 1)) * STEPS);
}

/* [[lower bound in ns, count], ...], of the steps that have any; the samples are sorted. */
static void print_histogram(const struct samples *samples)
{
	const char *separator = "";

	printf(", \"histogram\": [");
	for (size_t i = 0, first; i < samples->count;) {
		uint64_t step = step_of(samples->values[i]);

		for (first = i; i < samples->count && step_of(samples->values[i]) == step; i++)
			;
		printf("%s[%.0f, %zu]", separator, exp2((double)step / STEPS), i - first);
		separator = ", ";
	}
	printf("]");
}

/* "n": ... without braces; times in nanoseconds. */
void samples_print(struct samples *samples, bool histogram)
{
	double centre;

	printf("\"n\": %zu", samples->count);
	if (!samples->count)
		return;
	sort(samples);
	centre = mean(samples);
	printf(", \"min\": %" PRIu64 ", \"p50\": %" PRIu64 ", \"p90\": %" PRIu64 ", \"p99\": %" PRIu64
	       ", \"max\": %" PRIu64 ", \"mean\": %.0f, \"stddev\": %.0f",
	       samples->values[0], rank(samples, 50), rank(samples, 90), rank(samples, 99),
	       samples->values[samples->count - 1], centre, deviation(samples, centre));
	if (histogram)
		print_histogram(samples);
}

void samples_drop(struct samples *samples)
{
	free(samples->values);
	*samples = (struct samples){ 0 };
}
