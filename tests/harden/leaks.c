/* SPDX-License-Identifier: MIT */
/* What must not grow: open files of the whole system, PID 1's descriptors, and objects that nothing points at. */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harden.h"

#define KMEMLEAK "/sys/kernel/debug/kmemleak"
#define TOO_YOUNG_US 6000000	/* kmemleak does not report what is younger than five seconds */
#define FILES_SLACK 256		/* the kernel counts per CPU and adds up roughly */
#define SHOWN 3

static long files_before;
static int descriptors_before;

static int own_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int count = 0;

	while (folder && readdir(folder))
		count++;
	if (folder)
		closedir(folder);
	return count;
}

static void scan(void)
{
	if (write_file(KMEMLEAK, "scan") < 0)
		return;
	nap_us(TOO_YOUNG_US);
	write_file(KMEMLEAK, "scan");
}

void leaks_begin(void)
{
	if (access(KMEMLEAK, F_OK) == 0) {
		write_file(KMEMLEAK, "scan=off");
		scan();
		write_file(KMEMLEAK, "clear"); /* what booting left is none of ours */
	}
	files_before = read_number("/proc/sys/fs/file-nr");
	descriptors_before = own_descriptors();
}

/* Each report is a paragraph that begins with this word; all of it goes to the console. */
static void look_at_objects(const char *when)
{
	char line[512];
	int count = 0;
	FILE *file;

	scan();
	file = fopen(KMEMLEAK, "r");
	while (file && fgets(line, sizeof line, file)) {
		count += strncmp(line, "unreferenced object", 19) == 0;
		if (count <= SHOWN)
			printf("kmemleak: %s", line);
	}
	if (file)
		fclose(file);
	if (count)
		finding("kmemleak %s: %d unreferenced objects", when, count);
}

void leaks_look(const char *when)
{
	long files = read_number("/proc/sys/fs/file-nr");
	int descriptors = own_descriptors();

	if (files > files_before + FILES_SLACK)
		finding("open files %s: %ld, and %ld at the beginning", when, files, files_before);
	if (descriptors != descriptors_before)
		finding("PID 1 has %d descriptors %s, and had %d", descriptors, when, descriptors_before);
	if (access(KMEMLEAK, R_OK) == 0)
		look_at_objects(when);
	print_counts("progress leaks");
}
