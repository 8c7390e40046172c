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

#define PREFIX "rfork-run/1 "
#define ROTATE_AT 65536
#define LINE_MAX_BYTES 512
/* How often what a full disk did not take is tried again. */
#define RETRY_NS (1000 * RFORK_NSEC_PER_MSEC)

static uint64_t number_of(const char *line)
{
	return strncmp(line, PREFIX, strlen(PREFIX)) ? 0 : strtoull(line + strlen(PREFIX), NULL, 10);
}

/* The number of the last whole record in the file, or 0. *torn: there is half a line after it. */
static uint64_t last_number(const char *path, bool *torn)
{
	char tail[4 * LINE_MAX_BYTES + 1], *line = tail, *end;
	uint64_t last = 0;
	ssize_t got = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	*torn = false;
	if (fd < 0)
		return 0;
	if (lseek(fd, -(off_t)sizeof tail + 1, SEEK_END) < 0)
		lseek(fd, 0, SEEK_SET);
	got = read(fd, tail, sizeof tail - 1);
	close(fd);
	if (got <= 0)
		return 0;
	tail[got] = '\0';
	for (; (end = strchr(line, '\n')); line = end + 1)
		if (number_of(line) > last)
			last = number_of(line);
	*torn = *line != '\0';
	return last;
}

static void open_file(struct run_log *log)
{
	struct stat st;

	log->fd = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (log->fd < 0)
		run_complain("open", log->path, errno);
	log->size = log->fd >= 0 && fstat(log->fd, &st) == 0 ? st.st_size : 0;
}

void run_log_open(struct run_log *log, const struct run_config *config)
{
	bool torn;

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
	log->number = last_number(log->path, &torn);
	/* Half a line that somebody's crash has left is ended first. */
	log->held_length = torn;
	log->held[0] = '\n';
	if (!log->number)
		log->number = last_number(log->old_path, &torn);
	open_file(log);
	if (log->fd < 0)
		exit(RUN_SYSTEM);
}

static void rotate(struct run_log *log)
{
	if (rename(log->path, log->old_path) < 0) {
		run_complain("rename", log->path, errno);
		return;
	}
	if (log->fd >= 0)
		close(log->fd);
	open_file(log);
	log->torn = false;
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

/* One write(2) of what is held: whole lines, and the rest of one that a full disk has cut. */
static bool flush_once(struct run_log *log)
{
	ssize_t written;

	if (log->path && !log->torn && log->size && log->size + (off_t)log->held_length > ROTATE_AT)
		rotate(log);
	if (log->path && log->fd < 0)
		open_file(log);
	written = write(log->fd, log->held, log->held_length);
	if (written <= 0) {
		if (!log->retry_at)
			run_complain("write", log->path ? log->path : "standard error", errno);
		return false;
	}
	log->size += written;
	log->torn = log->path && log->held[written - 1] != '\n';
	log->held_length -= (size_t)written;
	memmove(log->held, log->held + written, log->held_length);
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

static void put(struct run_log *log, const char *line, size_t length)
{
	if (log->held_length + length > sizeof log->held)
		return;	/* its number will be missing, and the reader counts it as lost */
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

/* Every value that rfork-run writes is a number or one of its own words, so that none
 * needs escaping. */
void run_record(struct run_log *log, const char *event, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	uint64_t now = rfork_now() / 1000;
	va_list list;
	int length;

	length = snprintf(line, sizeof line, PREFIX "%llu %llu.%06llu %s ", (unsigned long long)++log->number,
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
	static const char *const names[] = {
		[SIGHUP] = "HUP", [SIGINT] = "INT", [SIGQUIT] = "QUIT", [SIGILL] = "ILL", [SIGTRAP] = "TRAP",
		[SIGABRT] = "ABRT", [SIGBUS] = "BUS", [SIGFPE] = "FPE", [SIGKILL] = "KILL", [SIGUSR1] = "USR1",
		[SIGSEGV] = "SEGV", [SIGUSR2] = "USR2", [SIGPIPE] = "PIPE", [SIGALRM] = "ALRM", [SIGTERM] = "TERM",
		[16] = "STKFLT", [SIGXCPU] = "XCPU", [SIGXFSZ] = "XFSZ", [SIGVTALRM] = "VTALRM",
		[SIGPROF] = "PROF", [SIGIO] = "IO", [SIGPWR] = "PWR", [SIGSYS] = "SYS",
	};

	return signal > 0 && (size_t)signal < sizeof names / sizeof *names ? names[signal] : NULL;
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
