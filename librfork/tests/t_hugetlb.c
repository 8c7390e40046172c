/* SPDX-License-Identifier: MIT */
/* Huge pages: a shared segment goes on through restarts; a private mapping comes back as it was, for which each instance that
 * writes to it takes a page of the pool and gives it back when it ends. None is taken for an instance before it writes. */
#include "system.h"
#include <sys/mount.h>
#include <sys/shm.h>

#define RESTARTS 20
#define SIZE (2ul << 20)
#define POOL "/proc/sys/vm/nr_hugepages"
#define PAGES "4"		/* the segment's, ours, the instance's copy, and one to spare */

static char *private_page, *segment;

static long free_pages(void)
{
	const char *found = strstr(read_text("/proc/meminfo"), "HugePages_Free:");

	return found ? strtol(found + strlen("HugePages_Free:"), NULL, 10) : -1;
}

static void prepare(void)
{
	need_machine("a pool of huge pages");
	if (access(POOL, W_OK) < 0)
		SKIP("this kernel has no huge pages");
	CHECK(write_text(POOL, PAGES) == 0);
	if (free_pages() < atoi(PAGES))
		SKIP("no memory for huge pages");
}

/* Mapped from a file of hugetlbfs: MAP_HUGETLB is of Linux 2.6.32. */
static void map(void)
{
	int file, id = shmget(IPC_PRIVATE, SIZE, SHM_HUGETLB | 0600);

	CHECK(id >= 0);
	segment = shmat(id, NULL, 0);
	CHECK(segment != (void *)-1);
	CHECK(shmctl(id, IPC_RMID, NULL) == 0);
	CHECK(mkdir("huge", 0700) == 0 && mount("none", "huge", "hugetlbfs", 0, NULL) == 0);
	file = open("huge/page", O_RDWR | O_CREAT, 0600);
	CHECK(file >= 0);
	private_page = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	CHECK(private_page != MAP_FAILED);
	close(file);
	CHECK(umount2("huge", MNT_DETACH) == 0);
	segment[0] = 0;
	private_page[SIZE - 1] = 7;
}

static _Noreturn void instance(void)
{
	EQUAL(private_page[SIZE - 1], 7);
	EQUAL(segment[0], rfork_generation());
	private_page[SIZE - 1] = 8;
	segment[0]++;
	if (rfork_generation() < RESTARTS)
		rfork_restart();
	_exit(0);
}

/* Has an ordinary page where the next instance has a huge one. */
static _Noreturn void other_instance(void)
{
	char *here = private_page + SIZE - 4096;
	long left = free_pages();

	if (rfork_generation() == 0)
		segment[1] = (char)left;
	EQUAL(left, segment[1]);
	CHECK(munmap(private_page, SIZE) == 0);
	CHECK(mmap(here, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == here);
	here[0] = 1;
	pause_ms(50);	/* for the next one to be prepared */
	if (rfork_generation() < RESTARTS)
		rfork_restart();
	_exit(0);
}

int main(void)
{
	long left;

	prepare();
	map();
	left = free_pages();
	run_to_exit(instance, RESTARTS);
	EQUAL(private_page[SIZE - 1], 7);
	EVENTUALLY(free_pages() >= left);
	run_to_exit(other_instance, RESTARTS);
	CHECK(write_text(POOL, "0") == 0);
	return 0;
}
