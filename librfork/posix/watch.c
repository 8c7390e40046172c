/* SPDX-License-Identifier: MIT */
/*
 * Waiting for an instance and for messages at once. The process is the library's own, so SIGCHLD is too; the instance gets
 * back the program's dispositions before it begins.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>
#include "group.h"

#define MOST_POLLED 6
#define START_MS 2000	/* somebody may have stopped it before it could say that it begins */

struct start {
	uint64_t ns;
	pid_t pid;
};

/* SIGCHLD, and what a monitor passes on to the instance. */
static const int caught[] = { SIGCHLD, SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2 };
enum { CAUGHT = sizeof caught / sizeof *caught };

static struct sigaction before[CAUGHT];		/* the program's */
static volatile sig_atomic_t sent[CAUGHT];	/* by a process */
static int used, wake;

/* A terminal's signals reach the instance by themselves. */
static void on_signal(int signal, siginfo_t *info, void *context)
{
	int saved = errno;
	ssize_t written;

	(void)context;
	for (int i = 1; i < CAUGHT; i++)
		if (caught[i] == signal && (info->si_code == SI_USER || info->si_code == SI_QUEUE))
			sent[i] = 1;
	written = write(wake, "", 1);	/* a full pipe wakes as well */
	(void)written;
	errno = saved;
}

/* Those sent since the last call, as a set of 1 << signal. */
uint64_t rfork_posix_watch_forward(void)
{
	uint64_t set = 0;

	for (int i = 1; i < CAUGHT; i++) {
		if (sent[i])
			set |= 1ull << caught[i];
		sent[i] = 0;
	}
	return set;
}

static int open_pipe(int ends[2])
{
	if (pipe(ends) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		int high = rfork_posix_raise(ends[i], false);

		if (high < 0)
			return high;
		ends[i] = high;
		rfork_posix_unblock(high);
	}
	return 0;
}

/* All signals are blocked, and stay so but while the process sleeps. */
int rfork_posix_watch_open(struct rfork_posix_watch *watch, const sigset_t *mask, bool forwards)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	int rc = open_pipe(watch->wake);

	watch->mask = *mask;
	watch->child = 0;
	if (rc == 0)
		rc = open_pipe(watch->started);
	if (rc < 0)
		return rc;
	wake = watch->wake[1];
	sigfillset(&action.sa_mask);
	used = forwards ? CAUGHT : 1;
	for (int i = 0; i < used; i++)
		if (sigaction(caught[i], &action, &before[i]) < 0)
			return -errno;
	return 0;
}

/* In an instance, which is to be as if nobody watched it. The mask remains to be set. */
void rfork_posix_watch_leave(struct rfork_posix_watch *watch)
{
	for (int i = 0; i < used; i++)
		sigaction(caught[i], &before[i], NULL);
	for (int i = 0; i < 2; i++) {
		rfork_posix_close(&watch->wake[i]);
		rfork_posix_close(&watch->started[i]);
	}
}

static void set_caught(int how)
{
	sigset_t set;

	sigemptyset(&set);
	for (int i = 0; i < used; i++)
		sigaddset(&set, caught[i]);
	sigprocmask(how, &set, NULL);
}

/* As poll(2) on the others, with the signals let in. 1: a signal has come. */
int rfork_posix_watch_poll(struct rfork_posix_watch *watch, struct pollfd *others, int count, int timeout_ms)
{
	struct pollfd all[MOST_POLLED] = { { .fd = watch->wake[0], .events = POLLIN } };
	char bytes[64];
	int woken;

	for (int i = 0; i < count; i++)
		all[i + 1] = others[i];
	set_caught(SIG_UNBLOCK);
	woken = poll(all, (nfds_t)count + 1, timeout_ms);
	set_caught(SIG_BLOCK);
	for (int i = 0; i < count; i++)
		others[i].revents = woken > 0 ? all[i + 1].revents : 0;
	woken = 0;
	while (read(watch->wake[0], bytes, sizeof bytes) > 0)
		woken = 1;
	return woken;
}

bool rfork_posix_watch_ended(struct rfork_posix_watch *watch, int *status)
{
	if (!watch->child || waitpid(watch->child, status, WNOHANG) != watch->child)
		return false;
	watch->child = 0;
	return true;
}

void rfork_posix_watch_kill(struct rfork_posix_watch *watch)
{
	if (!watch->child)
		return;
	kill(watch->child, SIGKILL);
	kill(watch->child, SIGCONT);	/* POSIX lets a stopped process wait with its end */
	while (waitpid(watch->child, NULL, 0) < 0 && errno == EINTR)
		;
	watch->child = 0;
}

static bool has_begun(const struct rfork_posix_watch *watch, uint64_t *start_ns)
{
	struct start start;

	while (read(watch->started[0], &start, sizeof start) == sizeof start)
		if (start.pid == watch->child) {
			*start_ns = start.ns;
			return true;
		}
	return false;
}

/* Its own word, so that the time is that of its beginning; one that has ended before cannot give it. */
static int await_begin(struct rfork_posix_watch *watch, uint64_t *start_ns)
{
	struct pollfd waiting = { .fd = watch->started[0], .events = POLLIN };
	uint64_t deadline = rfork_now() + START_MS * RFORK_NSEC_PER_MSEC;
	siginfo_t end = { .si_pid = 0 };

	while (!has_begun(watch, start_ns)) {
		if (waitid(P_PID, (id_t)watch->child, &end, WEXITED | WNOHANG | WNOWAIT) == 0 && end.si_pid) {
			*start_ns = rfork_now();
			return 0;
		}
		if (rfork_now() >= deadline) {
			rfork_posix_watch_kill(watch);
			return -EAGAIN;
		}
		poll(&waiting, 1, 20);
	}
	return 0;
}

/* As fork(2), with the time at which the child begins, which it has too; or -errno. */
pid_t rfork_posix_watch_spawn(struct rfork_posix_watch *watch, uint64_t *start_ns)
{
	struct start start;
	ssize_t written;
	pid_t pid = fork();
	int rc;

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		start = (struct start){ .ns = rfork_now(), .pid = getpid() };
		*start_ns = start.ns;
		written = write(watch->started[1], &start, sizeof start);
		(void)written;
		return 0;
	}
	watch->child = pid;
	rc = await_begin(watch, start_ns);
	return rc < 0 ? rc : pid;
}
