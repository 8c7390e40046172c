/* SPDX-License-Identifier: MIT */
/* What the victim is made to execute: x86-64 machine code, written out by hand with what it means. */
#ifndef FAULT_STUBS_H
#define FAULT_STUBS_H

#include <stddef.h>

struct stub {
	const char *kind;
	const unsigned char *code;
	size_t size;
};

/* NULL: no such kind (kill needs no code). */
const struct stub *stub_find(const char *kind);

#endif
