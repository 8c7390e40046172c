/* SPDX-License-Identifier: MIT */
/* What each backend can do: rfork(3) has the same as a table. */
#include "internal.h"

uint64_t rfork_features(enum rfork_backend backend)
{
	(void)backend;
	return 0;
}
