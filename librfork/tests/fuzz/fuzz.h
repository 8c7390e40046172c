/* SPDX-License-Identifier: MIT */
/* A fuzzed parser: main() reads one input, and TARGET's fuzz_one() takes it. With afl-clang-fast many inputs share a process. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>

#define FUZZ_MOST 65536

void fuzz_one(const char *data, size_t size);

/* What holds whatever the input is. */
#define MUST(condition) do { if (!(condition)) __builtin_trap(); } while (0)

#endif
