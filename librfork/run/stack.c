/* SPDX-License-Identifier: MIT */
/*
 * --stack: the kernel starts this for a core dump (kernel.core_pattern) and waits for it while the process that
 * crashed is still there. Of the dump only the first note is read, for the registers; what its stack says of who
 * called whom comes from its memory.
 */
#include "run.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <time.h>
#include <unistd.h>

#define HEAD 65536	/* bytes of the dump in which the first note is */
#define DEEP 8192	/* bytes of the stack that are looked at */
#define CALLERS 12
#define LIBRARY 6	/* of these in the C library: abort(3) alone has a few, some of them stale */
#define SLOTS 32	/* files that are kept, whoever crashes */

struct code {
	uint64_t start, end, offset;
	char path[128];
};

static size_t read_all(int fd, char *buffer, size_t size)
{
	size_t done = 0;
	ssize_t got;

	while (done < size && (got = read(fd, buffer + done, size - done)) > 0)
		done += (size_t)got;
	return done;
}

/* A structure at a place that the dump names, which need not be aligned. */
static bool copy_from(const char *head, size_t size, uint64_t place, void *to, size_t length)
{
	if (place > size || size - place < length)
		return false;
	memcpy(to, head + place, length);
	return true;
}

/* The registers of the thread that crashed: the dump's first note. */
static bool find_registers(const char *head, size_t size, struct elf_prstatus *status)
{
	Elf64_Ehdr elf;
	Elf64_Phdr part;
	Elf64_Nhdr note;
	uint64_t place;

	if (!copy_from(head, size, 0, &elf, sizeof elf) || memcmp(elf.e_ident, ELFMAG, SELFMAG) ||
	    elf.e_ident[EI_CLASS] != ELFCLASS64)
		return false;
	if (!copy_from(head, size, elf.e_phoff, &part, sizeof part) || part.p_type != PT_NOTE)	/* the notes are the first part */
		return false;
	if (!copy_from(head, size, part.p_offset, &note, sizeof note) || note.n_type != NT_PRSTATUS ||
	    note.n_descsz != sizeof *status)
		return false;
	place = part.p_offset + sizeof note + (((uint64_t)note.n_namesz + 3) & ~3ull);
	return copy_from(head, size, place, status, sizeof *status);
}

/* Where there is code of files. */
static size_t find_code(pid_t pid, struct code *found, size_t most)
{
	char path[64], line[512];
	size_t count = 0;
	FILE *maps;

	snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	while (maps && count < most && fgets(line, sizeof line, maps)) {
		struct code *c = &found[count];
		unsigned long long start, end, offset;
		char rights[8];

		if (sscanf(line, "%llx-%llx %7s %llx %*s %*s %127s", &start, &end, rights, &offset, c->path) == 5 &&
		    rights[2] == 'x' && c->path[0] == '/') {
			c->start = start;
			c->end = end;
			c->offset = offset;
			count++;
		}
	}
	if (maps)
		fclose(maps);
	return count;
}

/* Whether a call ends right before this place. */
static bool after_call(int memory, uint64_t place)
{
	unsigned char code[7];

	if (pread(memory, code, sizeof code, (off_t)(place - sizeof code)) != (ssize_t)sizeof code)
		return false;
	if (code[2] == 0xe8)
		return true;
	for (int length = 2; length <= 7; length++)	/* call through a register or memory: ff /2 */
		if (code[7 - length] == 0xff && (code[8 - length] >> 3 & 7) == 2)
			return true;
	return false;
}

static const struct code *code_of(const struct code *code, size_t count, uint64_t place)
{
	for (size_t i = 0; i < count; i++)
		if (place >= code[i].start && place < code[i].end)
			return &code[i];
	return NULL;
}

static bool is_library(const char *path)
{
	static const char *const names[] = { "libc.", "libc-", "libm.", "libm-", "libpthread", "libgcc_s", "libstdc++", "ld-", "ld." };
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strncmp(base, names[i], strlen(names[i])))
			return true;
	return false;
}

static void tell_place(FILE *to, const struct code *c, uint64_t place)
{
	fprintf(to, "%s+0x%llx\n", c->path, (unsigned long long)(place - c->start + c->offset));
}

/* PID and CLOCK_MONOTONIC. */
void run_stack_head(FILE *to, pid_t pid)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	fprintf(to, "%d %lld.%06ld\n", (int)pid, (long long)now.tv_sec, now.tv_nsec / 1000);
}

/* A line for the place, if there is one, and for each caller that the stack tells of. */
void run_stack_tell(FILE *to, pid_t pid, uint64_t place, uint64_t stack)
{
	static struct code code[64];
	static uint64_t words[DEEP / 8];
	size_t count = find_code(pid, code, sizeof code / sizeof *code), told = 0, library = 0;
	const struct code *here = code_of(code, count, place);
	char path[64];
	ssize_t got = 0;
	int memory;

	if (here)
		tell_place(to, here, place);
	snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
	memory = open(path, O_RDONLY | O_CLOEXEC);
	/* Up to the stack's end there may be less. */
	for (size_t size = sizeof words; memory >= 0 && size >= 64 && got <= 0; size /= 2)
		got = pread(memory, words, size, (off_t)(stack & ~7ull));
	for (ssize_t i = 0; i < got / 8 && told < CALLERS; i++) {
		const struct code *c = code_of(code, count, words[i]);

		if (!c || !after_call(memory, words[i]))
			continue;
		if (is_library(c->path) && library++ >= LIBRARY)
			continue;
		tell_place(to, c, words[i]);
		told++;
	}
	if (memory >= 0)
		close(memory);
}

/* Calls are recognised by x86-64's instructions: elsewhere the record is the head alone. */
static void tell_thread(FILE *file, pid_t pid, const struct elf_prstatus *status)
{
#ifdef __x86_64__
	enum { STACK_POINTER = 19 };

	run_stack_tell(file, pid, 0, (uint64_t)status->pr_reg[STACK_POINTER]);
#else
	(void)file;
	(void)pid;
	(void)status;
#endif
}

enum run_exit run_stack(const struct run_config *config)
{
	static _Alignas(16) char head[HEAD];
	const char *pid = config->argv[0];
	char path[512], draft[520];
	struct elf_prstatus status;
	FILE *file;

	if (strspn(pid, "0123456789") != strlen(pid) || !*pid)
		run_misuse("--stack: '%s' is no PID", pid);
	if (!find_registers(head, read_all(STDIN_FILENO, head, sizeof head), &status))
		return RUN_SYSTEM;
	snprintf(path, sizeof path, "%s/%d", config->stack, atoi(pid) % SLOTS);
	snprintf(draft, sizeof draft, "%s.new", path);
	file = fopen(draft, "we");
	if (!file)
		run_fail("open", draft);
	run_stack_head(file, atoi(pid));
	tell_thread(file, atoi(pid), &status);
	if (fclose(file) != 0 || rename(draft, path) < 0) {
		int error = errno;

		unlink(draft);		/* half of one is of no use, and takes room on a full disk */
		errno = error;
		run_fail("write", path);
	}
	return RUN_DONE;
}
