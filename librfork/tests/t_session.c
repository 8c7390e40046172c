/* SPDX-License-Identifier: MIT */
/* An instance that leads a session of its own and moves its restart point: the next one is in that session, but does not lead it
 * and has no terminal. It can lead a new session, and take the terminal again. */
#include "system.h"
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

static struct {
	volatile pid_t session;
	volatile int ended_well;
} *seen;

/* A guest of static programs has no pseudo-terminals until somebody mounts them. */
static int open_master(void)
{
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY);

	if (master >= 0 || geteuid() != 0 || !getenv("RFORK_TESTS_MACHINE"))
		return master;
	mknod("/dev/tty", S_IFCHR | 0666, makedev(5, 0));
	mknod("/dev/ptmx", S_IFCHR | 0666, makedev(5, 2));
	mkdir("/dev/pts", 0755);
	mount("devpts", "/dev/pts", "devpts", 0, NULL);
	return open("/dev/ptmx", O_RDWR | O_NOCTTY);
}

static const char *slave_of(int master)
{
	static char name[32];
	int unlock = 0, number = -1;

	CHECK(ioctl(master, TIOCSPTLCK, &unlock) == 0);
	CHECK(ioctl(master, TIOCGPTN, &number) == 0);
	snprintf(name, sizeof name, "/dev/pts/%d", number);
	return name;
}

static int has_terminal(void)
{
	int fd = open("/dev/tty", O_RDWR);

	if (fd < 0)
		EQUAL(errno, ENXIO);
	else
		close(fd);
	return fd >= 0;
}

static void lead_session(const char *terminal)
{
	int fd;

	EQUAL(setsid(), getpid());
	CHECK(!has_terminal());
	fd = open(terminal, O_RDWR | O_NOCTTY);
	CHECK(fd >= 0);
	CHECK(ioctl(fd, TIOCSCTTY, 0) == 0);
	CHECK(has_terminal());
	close(fd);
}

static _Noreturn void instance(const char *terminal)
{
	int restarted;

	/* The terminal's SIGHUP to the dead leader's process group. The kernel sends it before the restart. */
	if (!is_kernel_level())
		signal(SIGHUP, SIG_IGN);
	lead_session(terminal);
	seen->session = getsid(0);
	restarted = rfork_checkpoint();
	EQUAL(getsid(0), seen->session);
	if (!restarted)
		abort();
	EQUAL(restarted, 1);
	CHECK(getsid(0) != getpid());
	if (is_kernel_level())
		CHECK(!has_terminal());
	/* the monitor may restart before the kernel takes the terminal from the dead leader */
	EVENTUALLY(!has_terminal());
	lead_session(terminal);
	seen->ended_well = 1;
	_exit(0);
}

int main(void)
{
	struct rfork_options options = options_for_many();
	int master = open_master(), rfd;
	const char *terminal;
	pid_t pid;

	if (master < 0)
		SKIP("no pseudo-terminals here");
	terminal = slave_of(master);
	seen = shared(sizeof *seen);
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0)
		instance(terminal);
	next_event(rfd, RFORK_EV_CHECKPOINT);
	next_event(rfd, RFORK_EV_RESTART);
	EQUAL(expect_end(rfd, RFORK_END_EXIT).status, 0);
	CHECK(seen->ended_well);
	return 0;
}
