/* SPDX-License-Identifier: MIT */
/* Feeds a parser: standard input, or each file named. */
#include "fuzz.h"
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#ifdef __AFL_FUZZ_TESTCASE_LEN
__AFL_FUZZ_INIT();
#endif

static size_t read_all(int fd, char *data)
{
	size_t size = 0;
	ssize_t got;

	while (size < FUZZ_MOST && (got = read(fd, data + size, FUZZ_MOST - size)) > 0)
		size += (size_t)got;
	return size;
}

int main(int argc, char **argv)
{
	static char data[FUZZ_MOST];

	for (int i = 1; i < argc; i++) {
		int fd = open(argv[i], O_RDONLY);

		if (fd < 0) {
			perror(argv[i]);
			return 111;
		}
		fuzz_one(data, read_all(fd, data));
		close(fd);
	}
	if (argc > 1)
		return 0;
#ifdef __AFL_FUZZ_TESTCASE_LEN
	unsigned char *shared = __AFL_FUZZ_TESTCASE_BUF;
	while (__AFL_LOOP(10000))
		fuzz_one((const char *)shared, (size_t)__AFL_FUZZ_TESTCASE_LEN);
#else
	fuzz_one(data, read_all(STDIN_FILENO, data));
#endif
	return 0;
}
