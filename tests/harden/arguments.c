/* SPDX-License-Identifier: MIT */
/* Arguments: right but for one thing, which says what the answer must be; or wild, where any known error will do. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "harden.h"

#define PAGE 4096
#define KERNEL_ADDRESS ((char *)0xffff888000001000ull)
#define NON_CANONICAL ((char *)0x8000000000000000ull)

/* Pages: writable, nothing, read-only, writable, nothing. */
static char *arena;

int arguments_init(void)
{
	arena = mmap(NULL, 5 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (arena == MAP_FAILED || mprotect(arena, PAGE, PROT_READ | PROT_WRITE) < 0 ||
	    mprotect(arena + 2 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE) < 0)
		return -1;
	memset(arena + 2 * PAGE, 0xff, PAGE); /* zeroes are right arguments */
	return mprotect(arena + 2 * PAGE, PAGE, PROT_READ);
}

/* Where not even one byte can be read. */
static void *unreadable(void)
{
	char *const places[] = { NULL, (char *)8, arena + PAGE + below(PAGE - 64), KERNEL_ADDRESS,
				 NON_CANONICAL, (char *)-1, (char *)-4096 };

	return places[below(COUNT_OF(places))];
}

static void *unwritable(void)
{
	return one_in(3) ? arena + 2 * PAGE + below(PAGE - 64) : unreadable();
}

/* The end of the structure is on a page that is not there. */
static void *cut_off(const void *data, size_t size)
{
	size_t there = 1 + below(size - 1);
	char *place = arena + PAGE - there;

	memcpy(place, data, there);
	return place;
}

static size_t size_of(unsigned int cmd)
{
	switch (cmd) {
	case RFORK_CREATE:
		return sizeof(struct rfork_args);
	case RFORK_INFO:
		return sizeof(struct rfork_info);
	}
	return sizeof(struct rfork_ctl);
}

/* A structure that would do, but for there being no such descriptor. */
static void fill(unsigned int cmd, void *data)
{
	memset(data, 0, size_of(cmd));
	if (cmd == RFORK_CREATE)
		((struct rfork_args *)data)->burst = 1;
	else if (cmd == RFORK_INFO)
		((struct rfork_info *)data)->rfd = 9999;
	else
		*(struct rfork_ctl *)data =
			(struct rfork_ctl){ .rfd = 9999, .cause = cmd == RFORK_RESTART ? RFORK_CAUSE_OPERATOR : 0 };
}

static void spoil_args(struct rfork_args *args)
{
	switch (below(5)) {
	case 0:
		do
			args->flags = 1ull << below(64);
		while (!(args->flags & ~KNOWN_FLAGS));
		break;
	case 1:
		args->exit_signal = 65 + below(1u << 31);
		break;
	case 2:
		args->restart_status = 256 + below(1u << 31);
		break;
	case 3:
		args->reserved = 1u << below(32);
		break;
	case 4:
		args->flags = chance() | 1ull << 63;
		break;
	}
}

static void spoil_ctl(unsigned int cmd, struct rfork_ctl *ctl)
{
	switch (below(3)) {
	case 0:
		ctl->signal = 65 + below(1u << 31);
		break;
	case 1:
		ctl->reserved = 1u << below(32);
		break;
	case 2:
		ctl->cause = cmd == RFORK_STOP ? 1 + below(1u << 31) : below(2) * (RFORK_CAUSE_EXIT + below(1u << 30));
		break;
	}
}

/* One field out of range. RFORK_INFO has none that could be. */
static struct outcome wrong_value(unsigned int cmd, void *data)
{
	if (cmd == RFORK_CREATE)
		spoil_args(data);
	else if (cmd != RFORK_INFO)
		spoil_ctl(cmd, data);
	return (struct outcome){
		.result = rfork_call(cmd, data, size_of(cmd)),
		.allowed = BIT(cmd == RFORK_INFO ? EBADF : EINVAL),
	};
}

static struct outcome wrong_size(unsigned int cmd, void *data)
{
	size_t size = size_of(cmd);
	char longer[256];

	if (one_in(2))
		return (struct outcome){ .result = rfork_call(cmd, data, below(size)), .allowed = BIT(EINVAL) };
	memset(longer, 0, sizeof longer);
	memcpy(longer, data, size);
	longer[size + below(sizeof longer - size)] = 1;
	return (struct outcome){ .result = rfork_call(cmd, longer, sizeof longer), .allowed = BIT(E2BIG) };
}

static struct outcome wrong_pointer(unsigned int cmd, void *data)
{
	struct rfork_args *args = data;
	size_t size = size_of(cmd);
	uint64_t allowed = BIT(EFAULT);

	switch (below(cmd == RFORK_CREATE ? 4 : 3)) {
	case 0:
		data = unreadable();
		break;
	case 1:
		data = cut_off(data, size);
		break;
	case 2:
		size = one_in(2) ? SIZE_MAX - below(4096) : PAGE + below(1u << 30); /* zeroes, and then nothing */
		memset(arena, 0, PAGE);
		data = memcpy(arena, data, size_of(cmd));
		break;
	case 3:
		args->rfd = (uintptr_t)unwritable();
		if (!args->rfd)
			args->rfd = 1;
		allowed |= BIT(EMFILE); /* the number is found first, and this process may be at its limit */
		break;
	}
	return (struct outcome){ .result = rfork_call(cmd, data, size), .allowed = allowed };
}

void bad_call(void)
{
	static struct outcome (*const ways[])(unsigned int, void *) = { wrong_value, wrong_size, wrong_pointer };
	static const unsigned int commands[] = { RFORK_CREATE, RFORK_INFO, RFORK_STOP, RFORK_RESTART };
	unsigned int cmd = commands[below(COUNT_OF(commands))];
	char data[64] __attribute__((aligned(8)));
	struct outcome outcome;

	fill(cmd, data);
	outcome = ways[below(COUNT_OF(ways))](cmd, data);
	outcome.cmd = cmd;
	judge_call(&outcome);
}

/* Nothing but noise, in a place where nothing of this program is. Mostly it would make no group. */
void wild_call(void)
{
	uint64_t *words = (uint64_t *)(arena + 3 * PAGE);
	void *places[] = { words, unreadable(), unwritable(), arena + PAGE - 8 * below(8), (void *)(chance() | 1ull << 63) };
	size_t sizes[] = { 16, 40, 48, below(128), below(8192), chance() };
	unsigned int cmd = one_in(8) ? (unsigned int)chance() : below(6);

	for (int i = 0; i < 16; i++)
		words[i] = one_in(3) ? 0 : one_in(2) ? below(100) : chance();
	if (cmd == RFORK_CREATE) {
		words[1] = one_in(2) ? 0 : (uintptr_t)unwritable(); /* never a place that is in use */
		if ((uint32_t)words[2] == SIGSTOP)
			words[2] = SIGCHLD; /* an exit signal that stops this process would look like a hang */
		/* a group is a hundred times the work of a call, and nobody would stop this one: few, and of few restarts */
		words[3] = below(4);
		if (!one_in(50))
			words[4] |= 1ull << (32 + below(32));
		memset(arena + PAGE - 64, 0xff, 64); /* or what is left there of a call that was nearly right */
	}
	rfork_call(cmd, places[below(COUNT_OF(places))], sizes[below(COUNT_OF(sizes))]);
}

/* A descriptor of something else, closed, or of a group: the caller knows which. */
void call_with_descriptor(int fd)
{
	struct rfork_info info = { .rfd = fd };
	struct rfork_ctl ctl = { .rfd = fd };

	if (one_in(2)) {
		rfork_call(RFORK_INFO, &info, sizeof info);
		return;
	}
	ctl.cause = one_in(2) ? RFORK_CAUSE_OPERATOR : 0;
	rfork_call(ctl.cause ? RFORK_RESTART : RFORK_STOP, &ctl, sizeof ctl);
}
