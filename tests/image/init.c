/* SPDX-License-Identifier: MIT */
/*
 * PID 1 of an image for kernels that no glibc of today runs on: runs every /tests/t_*, the scripts among
 * them by /bin/sh, at both levels of rfork and prints what became of it, then restarts the machine. One line each:
 *
 *   conformance: BACKEND PROGRAM passed
 *   conformance: BACKEND PROGRAM skipped|failed: REASON
 *   conformance: BACKEND end TAINT      after the kernel's log of that backend, marked "log: "
 *   conformance: error: what PID 1 itself could not do
 *
 * On the kernel's command line, conformance_limit=SECONDS bounds one program, conformance_full=1 has
 * them look for races and leaks as often as it takes, and conformance_backend=BACKEND leaves the other out.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define FOLDER "/tests"
#define LOG "/tmp/log"
#define SKIPPED 77
#define KLOG_READ_CLEAR 4
#define TAINT "/proc/sys/kernel/tainted"

static void end_all(void) __attribute__((noreturn));
static void error(const char *what) __attribute__((noreturn));

static void end_all(void)
{
	fflush(stdout);
	tcdrain(STDOUT_FILENO); /* else the kernel's "Restarting system." comes in the middle of it */
	sync();
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

static void error(const char *what)
{
	printf("conformance: error: %s: %s\n", what, strerror(errno));
	end_all();
}

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void pause_10ms(void)
{
	nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
}

static void mount_on(const char *type, const char *place)
{
	mkdir(place, 0755);
	if (mount(type, place, type, 0, NULL) < 0)
		error(place);
}

/* The kernel gives loopback its address when it comes up. */
static void bring_up_loopback(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		error("lo");
	close(fd);
}

static int is_test(const struct dirent *entry)
{
	return strncmp(entry->d_name, "t_", 2) == 0;
}

static int is_script(const char *name)
{
	size_t length = strlen(name);

	return length > 3 && strcmp(name + length - 3, ".sh") == 0;
}

static void become(const char *backend, const char *name)
{
	char path[512], folder[512];
	int log = open(LOG, O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600);
	int in = open("/dev/null", O_RDWR);

	snprintf(path, sizeof path, FOLDER "/%s", name);
	snprintf(folder, sizeof folder, "/tmp/%s.%s", name, backend);
	if (log < 0 || in < 0 || mkdir(folder, 0755) < 0 || chdir(folder) < 0)
		_exit(111);
	dup2(in, 0);
	dup2(log, 1);
	dup2(log, 2);
	for (int fd = 3; fd < 64; fd++)
		close(fd);
	setsid();
	setenv("RFORK_BACKEND", backend, 1);
	if (is_script(name))
		execl("/bin/sh", "sh", path, (char *)NULL);
	else
		execl(path, path, (char *)NULL);
	_exit(111);
}

/* The program's wait status, or -1 after so many seconds. Orphans come to PID 1 and are reaped on the way. */
static int wait_for(pid_t program, int limit)
{
	long long end = now_ms() + limit * 1000LL;
	int status;

	while (now_ms() < end) {
		pid_t pid = waitpid(-1, &status, WNOHANG);

		if (pid == program)
			return status;
		if (pid <= 0)
			pause_10ms();
	}
	return -1;
}

/* Ends whatever a program has left behind; whether all of it went within ten seconds. */
static int nothing_left(void)
{
	long long end = now_ms() + 10000;

	while (now_ms() < end) {
		pid_t pid;

		kill(-1, SIGKILL);
		do
			pid = waitpid(-1, NULL, WNOHANG);
		while (pid > 0);
		if (pid < 0)
			return 1;
		pause_10ms();
	}
	return 0;
}

/* What it wrote, as one line. Of a skipped one the last line is the reason. */
static void print_log(int only_last)
{
	static char text[2001];
	int fd = open(LOG, O_RDONLY);
	ssize_t size = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
	char *begin = text;

	close(fd);
	while (size > 0 && text[size - 1] == '\n')
		size--;
	text[size > 0 ? size : 0] = 0;
	if (only_last && strrchr(text, '\n'))
		begin = strrchr(text, '\n') + 1;
	for (char *c = begin; *c; c++)
		putchar(*c == '\n' ? ';' : *c >= ' ' && *c <= '~' ? *c : '?');
}

static void verdict(const char *backend, const char *name, int status, int clean)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

	printf("conformance: %s %s ", backend, name);
	if (status == 0 && clean) {
		printf("passed\n");
		return;
	}
	if (code == SKIPPED && clean)
		printf("skipped: ");
	else if (status == -1)
		printf("failed: time limit; ");
	else if (!clean)
		printf("failed: leaves processes that do not end; status 0x%x; ", status);
	else
		printf("failed: status 0x%x; ", status);
	print_log(code == SKIPPED);
	putchar('\n');
}

static void run(const char *backend, const char *name, int limit)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		error("fork");
	if (pid == 0)
		become(backend, name);
	status = wait_for(pid, limit);
	verdict(backend, name, status, nothing_left());
	fflush(stdout);
}

static int tainted(void)
{
	FILE *file = fopen(TAINT, "r");
	int mask = -1;

	if (!file || fscanf(file, "%d", &mask) != 1)
		error(TAINT);
	fclose(file);
	return mask;
}

static void print_kernel_log(void)
{
	static char text[1 << 18];
	int size = klogctl(KLOG_READ_CLEAR, text, sizeof text - 1);
	char *rest = text;

	if (size < 0)
		error("klogctl");
	text[size] = 0;
	for (char *line; (line = strsep(&rest, "\n"));)
		if (*line)
			printf("log: %s\n", line);
}

int main(void)
{
	static const char *const backends[] = { "user", "kernel" };
	const char *limit = getenv("conformance_limit") ? getenv("conformance_limit") : "120", *only = getenv("conformance_backend");
	struct dirent **tests;
	int count;

	mount_on("proc", "/proc");
	mount_on("sysfs", "/sys");
	mount_on("tmpfs", "/tmp");
	bring_up_loopback();
	setenv("PATH", FOLDER ":/bin", 1);
	setenv("RFORK_TESTS_MACHINE", "1", 1);
	setenv("RFORK_TESTS_LIMIT", limit, 1);
	if (getenv("conformance_full"))
		setenv("RFORK_TESTS_FULL", "1", 1);
	count = scandir(FOLDER, &tests, is_test, alphasort);
	if (count <= 0)
		error(FOLDER);
	for (int b = 0; b < 2; b++) {
		if (only && strcmp(only, backends[b]))
			continue;
		for (int i = 0; i < count; i++)
			run(backends[b], tests[i]->d_name, atoi(limit));
		print_kernel_log();
		printf("conformance: %s end %d\n", backends[b], tainted());
		fflush(stdout);
	}
	end_all();
}
