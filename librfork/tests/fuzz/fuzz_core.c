/* SPDX-License-Identifier: MIT */
/* The head of a core dump, which --stack reads as root. */
#include "../../run/stack.c"
#include "fuzz.h"

void fuzz_one(const char *data, size_t size)
{
	struct elf_prstatus status;
	char *head = malloc(size + 1);	/* in memory of its own, aligned */

	MUST(head);
	memcpy(head, data, size);
	find_registers(head, size, &status);
	free(head);
}
