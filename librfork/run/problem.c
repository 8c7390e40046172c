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

/* Not fatal: a component does not go down because a record could not be written. */
void run_complain(const char *what, const char *object, int error)
{
	fprintf(stderr, "rfork-run: %s%s%s: %s\n", what, *object ? " " : "", object, strerror(error));
}

_Noreturn void run_fail(const char *what, const char *object)
{
	run_complain(what, object, errno);
	exit(RUN_SYSTEM);
}
