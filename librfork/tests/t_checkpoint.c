/* SPDX-License-Identifier: MIT */
/* A checkpoint moves the restart point: memory, signal mask and dispositions,
 * directory and descriptors come back as they were there, again and again; a later
 * checkpoint moves it on. */
#include "testing.h"

#define ROUNDS 5

static int *begun, *descriptors;

static void on_usr1(int signal)
{
	(void)signal;
}

static void check_state(int stage, int file)
{
	struct sigaction action;
	sigset_t mask;
	char here[64];

	sigaction(SIGUSR1, NULL, &action);
	CHECK(action.sa_handler == on_usr1);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	CHECK(sigismember(&mask, SIGUSR2));
	CHECK(!sigismember(&mask, SIGTERM));
	CHECK(getcwd(here, sizeof here) && !strcmp(here, "/"));
	CHECK(fcntl(file, F_GETFD) >= 0);
	if (!descriptors[stage])
		descriptors[stage] = count_descriptors();
	EQUAL(count_descriptors(), descriptors[stage]);
}

static int64_t stage_at(int stage, int file, volatile int *memory)
{
	int64_t generation = rfork_checkpoint();

	CHECK(generation >= 0);
	CHECK(generation == 0 || generation == rfork_generation());
	EQUAL(*memory, stage);
	check_state(stage, file);
	*memory = -1;
	CHECK(open("/dev/null", O_RDONLY) >= 0);
	CHECK(chdir("/dev") == 0);
	signal(SIGUSR1, SIG_IGN);
	return generation;
}

static _Noreturn void instance(void)
{
	static volatile int memory;
	sigset_t mask;
	int file = open("/dev/null", O_RDONLY);

	(*begun)++;
	CHECK(chdir("/") == 0);
	signal(SIGUSR1, on_usr1);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	if (stage_at(0, file, &memory) < ROUNDS)
		abort();
	memory = 1;
	CHECK(chdir("/") == 0);
	signal(SIGUSR1, on_usr1);
	if (stage_at(1, file, &memory) < 2 * ROUNDS)
		abort();
	_exit(0);
}

int main(void)
{
	struct rfork_options options = options_for_many();
	struct rfork_event event;
	uint64_t seq = 0;
	int rfd;
	pid_t pid;

	begun = shared(sizeof *begun);
	descriptors = shared(2 * sizeof *descriptors);
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0)
		instance();
	for (int stage = 0; stage < 2; stage++) {
		event = next_event(rfd, RFORK_EV_CHECKPOINT);
		EQUAL(event.seq, ++seq);
		EQUAL(event.generation, stage * ROUNDS);
		for (int i = 1; i <= ROUNDS; i++) {
			event = next_event(rfd, RFORK_EV_RESTART);
			EQUAL(event.seq, ++seq);
			EQUAL(event.flags & RFORK_WARM, RFORK_WARM);
			EQUAL(event.generation, stage * ROUNDS + i);
			EQUAL(event.cause, RFORK_CAUSE_ERROR);
		}
	}
	EQUAL(expect_end(rfd, RFORK_END_EXIT).status, 0);
	EQUAL(*begun, 1);
	return 0;
}
