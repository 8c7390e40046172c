/* SPDX-License-Identifier: MIT */
/* A restart brings back signal mask and dispositions, directory, umask, limits, credentials
 * and the descriptor table as they were at the restart point. */
#include "testing.h"

static void on_usr1(int signal)
{
	(void)signal;
}

static void arrange(void)
{
	struct sigaction action = { .sa_handler = on_usr1, .sa_flags = SA_RESTART };
	struct rlimit limit = { 100, 200 };
	sigset_t mask;

	sigaction(SIGUSR1, &action, NULL);
	signal(SIGTERM, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&mask);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGALRM);
	CHECK(sigprocmask(SIG_SETMASK, &mask, NULL) == 0);
	CHECK(chdir("/") == 0);
	umask(027);
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static void check_signals(void)
{
	struct sigaction action;
	sigset_t mask;

	CHECK(sigaction(SIGUSR1, NULL, &action) == 0);
	CHECK(action.sa_handler == on_usr1 && action.sa_flags & SA_RESTART);
	CHECK(sigaction(SIGTERM, NULL, &action) == 0);
	CHECK(action.sa_handler == SIG_IGN);
	for (int signal = 1; signal < 32; signal++) {
		CHECK(sigprocmask(SIG_BLOCK, NULL, &mask) == 0);
		EQUAL(sigismember(&mask, signal), signal == SIGHUP || signal == SIGALRM);
		CHECK(sigaction(signal, NULL, &action) == 0);
		CHECK(signal == SIGUSR1 || signal == SIGTERM || action.sa_handler == SIG_DFL);
	}
}

static void check_rest(int file)
{
	struct rlimit limit;
	char here[64];

	CHECK(getcwd(here, sizeof here) && !strcmp(here, "/"));
	EQUAL(umask(0), 027);
	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	EQUAL(limit.rlim_cur, 100);
	CHECK(fcntl(file, F_GETFD) >= 0);
}

static void disturb(int file)
{
	struct rlimit limit = { 50, 50 };
	sigset_t mask;

	signal(SIGUSR1, SIG_IGN);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	CHECK(sigprocmask(SIG_SETMASK, &mask, NULL) == 0);
	CHECK(chdir("/dev") == 0);
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	close(file);
	CHECK(open("/dev/null", O_RDONLY) >= 0);
	CHECK(open("/dev/null", O_RDONLY) >= 0);
}

static _Noreturn void instance(int file, int *descriptors, int *lowest)
{
	int low;

	check_signals();
	check_rest(file);
	low = open("/dev/null", O_RDONLY);
	close(low);
	if (rfork_generation() == 0) {
		*descriptors = count_descriptors();
		*lowest = low;
	}
	EQUAL(count_descriptors(), *descriptors);
	EQUAL(low, *lowest);
	disturb(file);
	if (rfork_generation() < 5)
		rfork_restart();
	_exit(0);
}

int main(void)
{
	struct rfork_options options = options_for_many();
	int *found = shared(2 * sizeof *found);
	int rfd, file = open("/dev/null", O_RDONLY);
	pid_t pid;

	for (int signo = 1; signo < 32; signo++)
		signal(signo, SIG_DFL);
	arrange();
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0)
		instance(file, &found[0], &found[1]);
	for (int i = 0; i < 5; i++)
		next_event(rfd, RFORK_EV_RESTART);
	EQUAL(expect_end(rfd, RFORK_END_EXIT).status, 0);
	/* The lowest free number is the one the program would have had without us. */
	EQUAL(found[1], file + 1);
	return 0;
}
