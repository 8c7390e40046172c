/* SPDX-License-Identifier: MIT */
/* An instance that crashes leaves its core dump as any process does, each of them its own, before the next one runs. */
#include "system.h"
#include <elf.h>

#define RESTARTS 3
#define MEGABYTE (1 << 20)

static struct rlimit most;

/* Where the kernel would put it in this directory, by /proc/sys/kernel/core_pattern. */
static void core_name(char *name, size_t size, pid_t pid)
{
	if (read_text("/proc/sys/kernel/core_uses_pid")[0] == '1')
		snprintf(name, size, "core.%d", pid);
	else
		snprintf(name, size, "core");
}

/* An emulator dumps its own memory. */
static int is_of_this_cpu(const Elf64_Ehdr *header)
{
	Elf64_Ehdr own;
	int file = open("/proc/self/exe", O_RDONLY);

	CHECK(file >= 0 && read(file, &own, sizeof own) == sizeof own);
	close(file);
	return !memcmp(header->e_ident + EI_CLASS, own.e_ident + EI_CLASS, 2);
}

static void check_core(pid_t pid)
{
	char name[32];
	Elf64_Ehdr header;
	int file;

	core_name(name, sizeof name, pid);
	file = open(name, O_RDONLY);
	CHECK(file >= 0);
	CHECK(read(file, &header, sizeof header) == sizeof header);
	CHECK(!memcmp(header.e_ident, ELFMAG, SELFMAG));
	CHECK(!is_of_this_cpu(&header) || header.e_type == ET_CORE);
	CHECK(lseek(file, 0, SEEK_END) > 8192);
	close(file);
	CHECK(unlink(name) == 0);
}

static _Noreturn void instance(pid_t *before)
{
	if (*before)
		check_core(*before);
	*before = getpid();
	if (rfork_generation() == RESTARTS)
		_exit(0);
	CHECK(setrlimit(RLIMIT_CORE, &(struct rlimit){ most.rlim_max, most.rlim_max }) == 0);
	abort();
}

int main(void)
{
	struct rfork_options options = options_for_many();
	pid_t pid, *before = shared(sizeof *before);
	int rfd;

	if (strcmp(read_text("/proc/sys/kernel/core_pattern"), "core\n"))
		SKIP("/proc/sys/kernel/core_pattern does not put core dumps into the current directory");
	if (getrlimit(RLIMIT_CORE, &most) < 0 || most.rlim_max < MEGABYTE)
		SKIP("core dumps are forbidden here (ulimit -Hc)");
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0)
		instance(before);
	for (int i = 0; i < RESTARTS; i++) {
		struct rfork_event event = next_event(rfd, RFORK_EV_RESTART);

		EQUAL(WTERMSIG(event.status), SIGABRT);
		CHECK(WCOREDUMP(event.status));
	}
	EQUAL(expect_end(rfd, RFORK_END_EXIT).status, 0);
	return 0;
}
