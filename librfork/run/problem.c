/* SPDX-License-Identifier: MIT */
#include "run.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void run_misuse(const char *format, ...)
{
	va_list list;

	fputs("rfork-run: ", stderr);
	va_start(list, format);
	vfprintf(stderr, format, list);
	va_end(list);
	fputs("\n(rfork-run --help lists the options)\n", stderr);
	exit(RUN_USAGE);
}

/* A long object loses its middle, and the reason stays. */
void run_problem_text(char text[RUN_ERROR_MAX + 1], const char *what, const char *object, int error)
{
	size_t most = RUN_ERROR_MAX - strlen(what) - strlen(strerror(error)) - 8, length = strlen(object), half = most / 2;

	if (length <= most)
		snprintf(text, RUN_ERROR_MAX + 1, "%s%s%s: %s", what, length ? " " : "", object, strerror(error));
	else
		snprintf(text, RUN_ERROR_MAX + 1, "%s %.*s...%s: %s", what, (int)half, object, object + length - half, strerror(error));
}

/* Not fatal: a component does not go down because a record could not be written. */
void run_complain(const char *what, const char *object, int error)
{
	fprintf(stderr, "rfork-run: %s%s%s: %s\n", what, *object ? " " : "", object, strerror(error));
}

_Noreturn void run_fail(const char *what, const char *object)
{
	char text[RUN_ERROR_MAX + 1];
	int error = errno;

	run_complain(what, object, error);
	run_problem_text(text, what, object, error);
	run_channel_fail(text);
	exit(RUN_SYSTEM);
}
