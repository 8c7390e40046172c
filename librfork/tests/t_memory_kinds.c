/* SPDX-License-Identifier: MIT */
/* Private mappings come back as they were at the restart point, shared ones and System V segments as they are; what
 * MADV_DONTFORK keeps from a copy is not there, and memory locks are not brought back. */
#include "system.h"
#include <sys/shm.h>

#define RESTARTS 30
#define SIZE 16384

static int can_keep_back;	/* emulators copy it all the same */
static char *private_memory, *shared_memory, *segment, *kept_back;

/* Looked for by write(2), which tells without a crash. By now another mapping may be there. */
static int is_there(const char *address, char wanted)
{
	int pair[2], mapped;
	char found = 0;

	CHECK(pipe(pair) == 0);
	mapped = write(pair[1], address, 1) == 1;
	CHECK(mapped ? read(pair[0], &found, 1) == 1 : errno == EFAULT);
	close(pair[0]);
	close(pair[1]);
	return mapped && found == wanted;
}

/* Whether a plain fork(2) leaves it out. */
static int is_kept_back(void)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0)
		_exit(is_there(kept_back, 9));
	CHECK(waitpid(pid, &status, 0) == pid);
	return status == 0;
}

static void make_mappings(void)
{
	int id = shmget(IPC_PRIVATE, SIZE, 0600);

	CHECK(id >= 0);
	segment = shmat(id, NULL, 0);
	CHECK(segment != (void *)-1);
	CHECK(shmctl(id, IPC_RMID, NULL) == 0);
	shared_memory = shared(SIZE);
	private_memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	kept_back = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(private_memory != MAP_FAILED && kept_back != MAP_FAILED);
	CHECK(madvise(kept_back, SIZE, MADV_DONTFORK) == 0);
	memset(private_memory, 7, SIZE);
	memset(kept_back, 9, SIZE);
	CHECK(is_there(kept_back, 9));
	can_keep_back = is_kept_back();
	CHECK(mlock(private_memory, SIZE) == 0);
}

static _Noreturn void instance(void)
{
	int generation = (int)rfork_generation();

	EQUAL(private_memory[SIZE - 1], 7);
	EQUAL(shared_memory[0], generation);
	EQUAL(segment[0], generation);
	CHECK(!can_keep_back || !is_there(kept_back, 9));
	EQUAL(status_number(getpid(), "VmLck"), 0);
	private_memory[SIZE - 1] = 8;
	shared_memory[0]++;
	segment[0]++;
	CHECK(mlock(private_memory, SIZE) == 0);
	EQUAL(status_number(getpid(), "VmLck"), SIZE / 1024);
	CHECK(munmap(private_memory, SIZE) == 0);
	if (generation < RESTARTS)
		rfork_restart();
	_exit(0);
}

int main(void)
{
	make_mappings();
	run_to_exit(instance, RESTARTS);
	EQUAL(shared_memory[0], RESTARTS + 1);
	EQUAL(segment[0], RESTARTS + 1);
	EQUAL(private_memory[SIZE - 1], 7);
	return 0;
}
