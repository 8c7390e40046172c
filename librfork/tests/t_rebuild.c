/* SPDX-License-Identifier: MIT */
/* RFORK_REBUILD: each instance has epoll sets, timerfds and signalfds of its own, as they were at the checkpoint. What a dead
 * instance has added, armed or removed is not there; a signal reaches the instance that runs. */
#include "testing.h"
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#define INSTANCES 4
#define DATA 0x123456789abcdef0ull

static struct fds {
	int epoll, copy, inner, idle, armed, far, signals, pipe[2], late[2];
} f;

static const char *name_of(int fd)
{
	static char name[64];
	char path[32];
	ssize_t got;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	got = readlink(path, name, sizeof name - 1);
	name[got > 0 ? got : 0] = '\0';
	return name;
}

static int watch(int set, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = { .events = events, .data.u64 = data };

	return epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) < 0 ? errno : 0;
}

static int timer(clockid_t clock, int flags, int settime, time_t seconds, time_t interval)
{
	struct itimerspec spec = { .it_value.tv_sec = seconds, .it_interval.tv_sec = interval };
	struct timespec now;
	int fd = timerfd_create(clock, flags);

	if (fd < 0 && errno == ENOSYS)
		_exit(77);	/* Linux 2.6.23 */
	CHECK(fd >= 0 && clock_gettime(clock, &now) == 0);
	if (settime)
		spec.it_value.tv_sec += now.tv_sec;
	CHECK(timerfd_settime(fd, settime, &spec, NULL) == 0);
	return fd;
}

static void open_all(void)
{
	sigset_t mask;

	CHECK(pipe(f.pipe) == 0 && pipe(f.late) == 0);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	sigaddset(&mask, SIGRTMAX);
	CHECK(sigprocmask(SIG_BLOCK, &mask, NULL) == 0);
	f.signals = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
	f.idle = timer(CLOCK_MONOTONIC, TFD_NONBLOCK, 0, 0, 0);
	f.armed = timer(CLOCK_MONOTONIC, 0, 0, 1000, 7);
	f.far = timer(CLOCK_REALTIME, TFD_CLOEXEC, TFD_TIMER_ABSTIME, 2000, 0);
	f.inner = epoll_create1(EPOLL_CLOEXEC);
	f.epoll = epoll_create1(0);
	f.copy = dup(f.epoll);
	CHECK(f.signals >= 0 && f.inner >= 0 && f.epoll >= 0 && f.copy >= 0);
	EQUAL(watch(f.inner, f.signals, EPOLLIN, 5), 0);
	EQUAL(watch(f.epoll, f.inner, EPOLLIN, DATA), 0);
	EQUAL(watch(f.epoll, f.pipe[0], EPOLLIN | EPOLLET, 9), 0);
}

static void check_timer(int fd, time_t most, time_t interval)
{
	struct itimerspec spec;

	CHECK(timerfd_gettime(fd, &spec) == 0);
	CHECK(spec.it_value.tv_sec <= most && (!most || spec.it_value.tv_sec > most - 200));
	EQUAL(spec.it_interval.tv_sec, interval);
}

/* Everything is as at the checkpoint. */
static void check_all(void)
{
	struct signalfd_siginfo info;
	struct epoll_event event;
	uint64_t ticks;

	CHECK(!strcmp(name_of(f.epoll), "anon_inode:[eventpoll]"));
	EQUAL(epoll_wait(f.epoll, &event, 1, 0), 0);
	CHECK(kill(getpid(), SIGUSR1) == 0);
	EQUAL(epoll_wait(f.epoll, &event, 1, (int)patience_ms()), 1);
	CHECK(event.data.u64 == DATA);
	EQUAL(epoll_wait(f.inner, &event, 1, 0), 1);
	EQUAL(event.data.u64, 5);
	EQUAL(read(f.signals, &info, sizeof info), sizeof info);
	EQUAL(info.ssi_signo, SIGUSR1);
	EQUAL(info.ssi_pid, getpid());
	CHECK(read(f.signals, &info, sizeof info) < 0 && errno == EAGAIN);
	CHECK(fcntl(f.signals, F_GETFD) & FD_CLOEXEC && fcntl(f.far, F_GETFD) & FD_CLOEXEC && fcntl(f.inner, F_GETFD) & FD_CLOEXEC);
	CHECK(!(fcntl(f.epoll, F_GETFD) & FD_CLOEXEC) && !(fcntl(f.armed, F_GETFL) & O_NONBLOCK));
	CHECK(read(f.idle, &ticks, sizeof ticks) < 0 && errno == EAGAIN);
	check_timer(f.idle, 0, 0);
	check_timer(f.armed, 1000, 7);
	check_timer(f.far, 2000, 0);
	EQUAL(watch(f.copy, f.pipe[0], EPOLLIN, 1), EEXIST);
}

/* What the next instance must not find. */
static void change_all(void)
{
	struct itimerspec soon = { .it_value.tv_nsec = 1, .it_interval.tv_nsec = 1000000 };

	EQUAL(watch(f.epoll, f.late[0], EPOLLIN, 77), 0);
	CHECK(epoll_ctl(f.inner, EPOLL_CTL_DEL, f.signals, NULL) == 0);
	CHECK(timerfd_settime(f.idle, 0, &soon, NULL) == 0 && timerfd_settime(f.armed, 0, &soon, NULL) == 0);
	close(f.far);
}

static _Noreturn void instance(void)
{
	int64_t generation;

	open_all();
	generation = rfork_checkpoint_with(RFORK_REBUILD | RFORK_RESEED);
	if (generation == -EOPNOTSUPP) {
		CHECK(strstr(rfork_problem(), "cannot be made again"));
		_exit(77);
	}
	CHECK(generation >= 0);
	CHECK(!*rfork_shared());
	check_all();
	if (generation == INSTANCES)
		_exit(0);
	change_all();
	raise(SIGKILL);
	_exit(1);
}

int main(void)
{
	struct rfork_options options = options_for_many();
	struct rfork_event event;
	int rfd;
	pid_t pid;

	close_inherited();
	options.flags = RFORK_ON_SIGNAL;
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0)
		instance();
	do {
		struct pollfd waiting = { .fd = rfd, .events = POLLIN };

		EQUAL(poll(&waiting, 1, (int)patience_ms()), 1);
		EQUAL(rfork_next_event(rfd, &event), 1);
	} while (event.type != RFORK_EV_END);
	if (event.status == 77 << 8)
		SKIP("this kernel does not say what epoll sets and timerfds hold");
	EQUAL(event.status, 0);
	return 0;
}
