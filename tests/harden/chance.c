/* SPDX-License-Identifier: MIT */
/* Random numbers: splitmix64 (Steele, Lea and Flood, 2014), one state a thread. */
#include "harden.h"

static _Thread_local uint64_t state;

void seed_chance(uint64_t seed, uint64_t stream)
{
	state = seed;
	state = chance() ^ stream * 0xd1342543de82ef95ull;
	chance();
}

uint64_t chance(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

uint32_t below(uint32_t limit)
{
	return (uint32_t)((chance() >> 32) * limit >> 32);
}

int one_in(uint32_t n)
{
	return below(n) == 0;
}
