/* SPDX-License-Identifier: MIT */
/* The thousandth restart finds what the first found, whatever each instance did to it: signal mask and dispositions, alternate
 * stack, floating-point control, directory, umask, limits, nice value, affinity, rank for the OOM killer, session,
 * credentials, descriptors. */
#include "system.h"
#include <fenv.h>
#include <sched.h>

static char stack[65536], other_stack[65536];
static int file, is_root, restarts;
static int last_blocked;	/* SIGRTMAX; an emulator may lack it */
static struct {
	pid_t session, group;
	int descriptors, lowest;
} *first;

static void on_usr1(int signo)
{
	(void)signo;
}

#ifdef __SSE__
/* Rounding of both floating-point units: 0 to nearest, 1 down, 2 up. */
static void set_rounding(unsigned int mode)
{
	unsigned short word = (unsigned short)(0x37f | mode << 10);

	__builtin_ia32_ldmxcsr(0x1f80 | mode << 13);
	__asm__ volatile("fldcw %0" : : "m"(word));
}

static int is_rounding(unsigned int mode)
{
	unsigned short word;

	__asm__ volatile("fnstcw %0" : "=m"(word));
	return (word >> 10 & 3) == mode && (__builtin_ia32_stmxcsr() >> 13 & 3) == mode;
}
#else
static const int roundings[] = { FE_TONEAREST, FE_DOWNWARD, FE_UPWARD };

static void set_rounding(unsigned int mode)
{
	EQUAL(fesetround(roundings[mode]), 0);
}

static int is_rounding(unsigned int mode)
{
	return fegetround() == roundings[mode];
}
#endif

/* QEMU 7.2 loses it in the handler of any signal, as an i386. */
static int rounding_is_kept;

static void find_out_about_rounding(void)
{
	signal(SIGUSR1, on_usr1);
	set_rounding(2);
	raise(SIGUSR1);
	rounding_is_kept = is_rounding(2);
}

static const char *oom_file(void)
{
	return access("/proc/self/oom_score_adj", F_OK) == 0 ? "/proc/self/oom_score_adj" : "/proc/self/oom_adj";
}

/* The first or the last of the CPUs that we may use: where there is one, they are the same. */
static cpu_set_t one_cpu(int first)
{
	static cpu_set_t all;
	cpu_set_t one;
	int chosen = -1;

	if (!CPU_COUNT(&all))
		CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &all) && (!first || chosen < 0))
			chosen = cpu;
	CPU_ZERO(&one);
	CPU_SET(chosen, &one);
	return one;
}

static void be_scheduled(int first, const char *oom)
{
	cpu_set_t cpu = one_cpu(first);

	CHECK(sched_setaffinity(0, sizeof cpu, &cpu) == 0);
	CHECK(setpriority(PRIO_PROCESS, 0, first ? 3 : 7) == 0);
	EQUAL(write_text(oom_file(), oom), 0);
}

static void check_scheduled(void)
{
	cpu_set_t cpu, wanted = one_cpu(1);

	CHECK(sched_getaffinity(0, sizeof cpu, &cpu) == 0);
	CHECK(CPU_EQUAL(&cpu, &wanted));
	EQUAL(getpriority(PRIO_PROCESS, 0), 3);
	EQUAL(atoi(read_text(oom_file())), 9);
}

static void arrange(void)
{
	struct sigaction action = { .sa_handler = on_usr1, .sa_flags = SA_RESTART | SA_ONSTACK };
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof stack };
	struct rlimit files = { 300, 400 }, core = { 0, 0 };
	sigset_t mask;

	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	signal(SIGTERM, SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGRTMAX);
	CHECK(sigprocmask(SIG_SETMASK, &mask, NULL) == 0);
	CHECK(sigprocmask(SIG_BLOCK, NULL, &mask) == 0);
	last_blocked = sigismember(&mask, SIGRTMAX);
	CHECK(sigaltstack(&alternate, NULL) == 0);
	set_rounding(2);
	CHECK(chdir("/") == 0);
	umask(027);
	CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0 && setrlimit(RLIMIT_CORE, &core) == 0);
	be_scheduled(1, "9");
	if (is_root) {
		CHECK(setgroups(2, (gid_t[]){ 11, 12 }) == 0);
		CHECK(setresgid(0, 21, 22) == 0 && setresuid(0, 0, 31) == 0);
	}
}

static void check_signals(void)
{
	struct sigaction action;
	stack_t alternate;
	sigset_t mask;

	CHECK(sigaction(SIGUSR1, NULL, &action) == 0);
	CHECK(action.sa_handler == on_usr1 && action.sa_flags & SA_RESTART && action.sa_flags & SA_ONSTACK);
	CHECK(sigaction(SIGTERM, NULL, &action) == 0 && action.sa_handler == SIG_IGN);
	CHECK(sigaction(SIGINT, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
	CHECK(sigprocmask(SIG_BLOCK, NULL, &mask) == 0);
	CHECK(sigismember(&mask, SIGHUP) && sigismember(&mask, SIGRTMAX) == last_blocked && !sigismember(&mask, SIGUSR2));
	CHECK(sigaltstack(NULL, &alternate) == 0);
	CHECK(alternate.ss_sp == stack && alternate.ss_size == sizeof stack && !alternate.ss_flags);
	CHECK(sigpending(&mask) == 0 && !sigismember(&mask, SIGHUP));
}

static void check_process(void)
{
	struct rlimit limit;
	char here[64];
	mode_t mode = umask(0);

	EQUAL(mode, 027);
	CHECK(!rounding_is_kept || is_rounding(2));
	CHECK(getcwd(here, sizeof here) && !strcmp(here, "/"));
	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	EQUAL(limit.rlim_cur, 300);
	EQUAL(limit.rlim_max, 400);
	EQUAL(getsid(0), first->session);
	EQUAL(getpgrp(), first->group);
	EQUAL(fcntl(file, F_GETFD), FD_CLOEXEC);
}

static void check_credentials(void)
{
	gid_t groups[4], real, effective, saved;
	uid_t ids[3];

	if (!is_root)
		return;
	EQUAL(getgroups(4, groups), 2);
	CHECK(groups[0] == 11 && groups[1] == 12);
	CHECK(getresgid(&real, &effective, &saved) == 0);
	CHECK(real == 0 && effective == 21 && saved == 22);
	CHECK(getresuid(&ids[0], &ids[1], &ids[2]) == 0);
	CHECK(ids[0] == 0 && ids[1] == 0 && ids[2] == 31);
}

static void disturb(void)
{
	stack_t alternate = { .ss_sp = other_stack, .ss_size = sizeof other_stack };
	struct rlimit limit = { 150, 150 };
	sigset_t mask;

	signal(SIGUSR1, SIG_IGN);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_IGN);
	sigfillset(&mask);
	CHECK(sigprocmask(SIG_SETMASK, &mask, NULL) == 0);
	raise(SIGHUP);
	CHECK(sigaltstack(&alternate, NULL) == 0);
	set_rounding(1);
	CHECK(chdir("/dev") == 0);
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	be_scheduled(0, "10");
	close(file);
	CHECK(open("/dev/null", O_RDONLY) >= 0 && open("/dev/null", O_RDONLY) >= 0);
	if (is_root)
		become_user(NOBODY);
	setsid();
}

static _Noreturn void instance(void)
{
	int lowest = open("/dev/null", O_RDONLY), descriptors = count_descriptors();

	close(lowest);
	if (rfork_generation() == 0) {
		first->session = getsid(0);
		first->group = getpgrp();
		first->descriptors = descriptors;
		first->lowest = lowest;
	}
	EQUAL(descriptors, first->descriptors);
	EQUAL(lowest, first->lowest);
	check_signals();
	check_process();
	check_scheduled();
	check_credentials();
	disturb();
	if (rfork_generation() < restarts)
		rfork_restart();
	_exit(0);
}

int main(void)
{
	struct rfork_options options = options_for_many();
	int rfd;
	pid_t pid;

	restarts = few_or_all(200, 1000);
	is_root = geteuid() == 0;
	first = shared(sizeof *first);
	file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	find_out_about_rounding();
	arrange();
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0)
		instance();
	follow_to_exit(rfd, restarts);
	return 0;
}
