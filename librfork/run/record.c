/* SPDX-License-Identifier: MIT */
/* The event log: one record a line, one write(2) a record. */
#include "run.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINE_MAX_BYTES 512
/* How often what a full disk did not take is tried again. */
#define RETRY_NS (1000 * RFORK_NSEC_PER_MSEC)

/* What ends half a line that could not be cut off: with it, the line is not an event for any reader. */
#define TORN_END " torn !\n"

static void open_file(struct run_log *log)
{
	struct stat st = { 0 };

	log->fd = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if ((log->fd < 0 || fstat(log->fd, &st) < 0) && !log->retry_at)
		run_complain("open", log->path, errno);
	log->size = st.st_size;
	log->device = st.st_dev;
	log->inode = st.st_ino;
	log->torn = false;
}

/* Numbers go on after the last one in either file: the newer one may hold half a line and no more. */
static void go_on(struct run_log *log)
{
	struct run_tail tail = run_tail_of(log->path), old = run_tail_of(log->old_path);

	if (tail.torn)
		old.number++;
	log->number = tail.number > old.number ? tail.number : old.number;
	if (!tail.torn)
		return;
	if (tail.whole >= 0 && ftruncate(log->fd, tail.whole) == 0) {
		log->size = tail.whole;
		return;
	}
	log->held_length = strlen(TORN_END);
	memcpy(log->held, TORN_END, log->held_length);
}

void run_log_open(struct run_log *log, const struct run_config *config)
{
	memset(log, 0, sizeof *log);
	log->name = config->name;
	log->poke = config->poke;
	log->fd = STDERR_FILENO;
	log->poke_socket = -1;
	if (log->poke) {
		log->poke_socket = socket(AF_UNIX, SOCK_DGRAM, 0);
		fcntl(log->poke_socket, F_SETFD, FD_CLOEXEC);
	}
	if (!config->state)
		return;
	log->path = run_state_path(config, "events");
	log->old_path = run_state_path(config, "events.1");
	open_file(log);
	if (log->fd < 0)
		exit(RUN_SYSTEM);
	go_on(log);
}

static void reopen(struct run_log *log)
{
	if (log->fd >= 0)
		close(log->fd);
	open_file(log);
}

/* A file that somebody has removed or moved would be written to without bound, and read by nobody. */
static bool is_elsewhere(const struct run_log *log)
{
	struct stat st;

	if (log->fd < 0 || log->torn)
		return log->fd < 0;
	if (stat(log->path, &st) < 0)
		return errno == ENOENT;
	return st.st_ino != log->inode || st.st_dev != log->device;
}

static void rotate(struct run_log *log)
{
	if (rename(log->path, log->old_path) < 0)
		run_complain("rename", log->path, errno);
	else
		reopen(log);
}

static void poke(const struct run_log *log)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (log->poke_socket < 0 || strlen(log->poke) >= sizeof address.sun_path)
		return;
	strcpy(address.sun_path, log->poke);
	sendto(log->poke_socket, log->name, strlen(log->name), MSG_DONTWAIT | MSG_NOSIGNAL,
	       (struct sockaddr *)&address, sizeof address);
}

/* A disk that is almost full takes a part. What is in the log must be whole lines at any time, for this process may
 * be killed before it can add the rest. How much of it has stayed. */
static size_t keep_whole_lines(struct run_log *log, size_t written)
{
	size_t whole = written;
	off_t end = lseek(log->fd, 0, SEEK_CUR);	/* O_APPEND: where this write has ended */

	while (whole && log->held[whole - 1] != '\n')
		whole--;
	return end >= 0 && ftruncate(log->fd, end - (off_t)(written - whole)) == 0 ? whole : written;
}

/* One write(2) of what is held. */
static bool flush_once(struct run_log *log)
{
	ssize_t written;
	size_t taken;

	if (log->path && is_elsewhere(log))
		reopen(log);
	if (log->path && !log->torn && log->size && log->size + (off_t)log->held_length > RUN_ROTATE_AT)
		rotate(log);
	errno = ENOSPC;		/* for a write that takes nothing, or a part */
	written = write(log->fd, log->held, log->held_length);
	taken = written > 0 ? (size_t)written : 0;
	if (log->path && taken && taken < log->held_length) {
		taken = keep_whole_lines(log, taken);
		errno = ENOSPC;
	}
	if (!taken) {
		log->error = errno;
		if (!log->retry_at)
			run_complain("write", log->path ? log->path : "standard error", errno);
		return false;
	}
	log->torn = log->path && log->held[taken - 1] != '\n';
	log->size += (off_t)taken;
	log->held_length -= taken;
	memmove(log->held, log->held + taken, log->held_length);
	return true;
}

/* What cannot be written now, on a full disk, is tried again: no event is lost by it. */
static void flush(struct run_log *log)
{
	while (log->held_length && flush_once(log))
		;
	if (log->held_length && !log->path)
		log->held_length = 0;	/* nobody reads our standard error any more */
	log->retry_at = log->held_length ? rfork_now() + RETRY_NS : 0;
}

/* Whether events are held that a full disk will take once there is room. */
bool run_log_waits(const struct run_log *log)
{
	return log->retry_at && (log->error == ENOSPC || log->error == EDQUOT);
}

/* The oldest of what is held goes: their numbers will be missing, and the reader counts them as lost. The newest tell
 * how the component is, for a reader that would otherwise not learn it. */
static void drop_oldest(struct run_log *log, size_t length)
{
	char *first = log->held, *rest, *end = log->held + log->held_length;

	if (log->torn)	/* the rest of a line that the file has begun */
		first = (char *)memchr(first, '\n', log->held_length) + 1;
	for (rest = first; rest < end && (size_t)(rest - first) < length; )
		rest = (char *)memchr(rest, '\n', (size_t)(end - rest)) + 1;
	memmove(first, rest, (size_t)(end - rest));
	log->held_length -= (size_t)(rest - first);
}

static void put(struct run_log *log, const char *line, size_t length)
{
	if (log->held_length + length > sizeof log->held)
		drop_oldest(log, length);
	memcpy(log->held + log->held_length, line, length);
	log->held_length += length;
	flush(log);
}

void run_log_check(struct run_log *log)
{
	if (!log->retry_at || rfork_now() < log->retry_at)
		return;
	flush(log);
	poke(log);
}

/* As a value in a record: what does not fit is left out, from a whole character on. */
void run_quote(const char *text, char *out, size_t size)
{
	for (char *end = out + size; *text && end - out > 3; text++) {
		unsigned char c = (unsigned char)*text;

		if (c > ' ' && c < 0x7f && c != '%' && c != '*')
			*out++ = (char)c;
		else
			out += sprintf(out, "%%%02X", c);
	}
	*out = '\0';
}

/* Every value that rfork-run writes is a number or one of its own words, so that none
 * needs escaping. */
void run_record(struct run_log *log, const char *event, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	uint64_t now = rfork_now() / 1000;
	va_list list;
	int length;

	length = snprintf(line, sizeof line, RUN_PREFIX "%llu %llu.%06llu %s ", (unsigned long long)++log->number,
			  (unsigned long long)(now / 1000000), (unsigned long long)(now % 1000000), event);
	va_start(list, format);
	length += vsnprintf(line + length, sizeof line - (size_t)length - 1, format, list);
	va_end(list);
	line[length++] = '\n';
	put(log, line, (size_t)length);
	poke(log);
}

static const char *signal_name(int signal)
{
	static const char *const names[NSIG] = {
		[SIGHUP] = "HUP", [SIGINT] = "INT", [SIGQUIT] = "QUIT", [SIGILL] = "ILL", [SIGTRAP] = "TRAP",
		[SIGABRT] = "ABRT", [SIGBUS] = "BUS", [SIGFPE] = "FPE", [SIGKILL] = "KILL", [SIGUSR1] = "USR1",
		[SIGSEGV] = "SEGV", [SIGUSR2] = "USR2", [SIGPIPE] = "PIPE", [SIGALRM] = "ALRM", [SIGTERM] = "TERM",
		[16] = "STKFLT", [SIGXCPU] = "XCPU", [SIGXFSZ] = "XFSZ", [SIGVTALRM] = "VTALRM",
		[SIGPROF] = "PROF", [SIGIO] = "IO", [SIGPWR] = "PWR", [SIGSYS] = "SYS",
	};

	return signal > 0 && signal < NSIG ? names[signal] : NULL;
}

/* Of SIGABRT and so on; 0: there is none of that name. */
int run_signal_number(const char *name)
{
	for (int number = 1; number < NSIG; number++)
		if (!strncmp(name, "SIG", 3) && signal_name(number) && !strcmp(name + 3, signal_name(number)))
			return number;
	return 0;
}

/* "exit:3", "signal:SIGSEGV", or by number where the signal has no name. */
const char *run_status_text(int status, char text[32])
{
	const char *name = WIFSIGNALED(status) ? signal_name(WTERMSIG(status)) : NULL;

	if (!WIFSIGNALED(status))
		snprintf(text, 32, "exit:%d", WEXITSTATUS(status));
	else if (name)
		snprintf(text, 32, "signal:SIG%s", name);
	else
		snprintf(text, 32, "signal:%d", WTERMSIG(status));
	return text;
}

/* The first 8 characters of the kernel's boot_id, '-' where there is no /proc. */
const char *run_boot_id(void)
{
	static char id[9];
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return "-";
	if (read(fd, id, sizeof id - 1) != sizeof id - 1)
		strcpy(id, "-");
	close(fd);
	return id;
}
