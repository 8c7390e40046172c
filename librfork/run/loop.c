/* SPDX-License-Identifier: MIT */
/* One loop, one place to sleep: nothing happens, nothing wakes. */
#include "run.h"
#include <poll.h>
#include <time.h>
#include <unistd.h>

/* Less than the supervisor grants a runner beyond the component's own time limit. */
#define STOP_LOG_NS (2000 * RFORK_NSEC_PER_MSEC)
#define LOG_RETRY_NS (100 * (long)RFORK_NSEC_PER_MSEC)

static volatile sig_atomic_t stop_wanted, restart_wanted, stop_sender;

static void note(int signal, siginfo_t *info, void *context)
{
	(void)context;
	if (signal == SIGUSR1)
		restart_wanted = 1;
	else {
		stop_sender = info->si_pid;
		stop_wanted = 1;
	}
}

/* The signals arrive in ppoll(2) only. *original: the mask to give an instance. */
static void take_signals(sigset_t *original)
{
	static const int taken[] = { SIGTERM, SIGINT, SIGUSR1 };
	struct sigaction action = { .sa_sigaction = note, .sa_flags = SA_SIGINFO };
	sigset_t block;

	sigemptyset(&block);
	for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
		sigaddset(&block, taken[i]);
	sigprocmask(SIG_BLOCK, &block, original);
	for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
		sigaction(taken[i], &action, NULL);
}

static uint64_t earliest(const struct runner *r)
{
	const uint64_t deadlines[] = { r->ready_by, r->beat_by, r->probe_at, r->stop_by, r->kick_by, r->hang_by,
					r->status_at, r->log.retry_at, r->end_by, r->notes_at,
					run_rate_due(&r->store_rate), run_rate_due(&r->checkpoint_rate), r->capture.due };
	uint64_t first = 0;

	for (size_t i = 0; i < sizeof deadlines / sizeof *deadlines; i++)
		if (deadlines[i] && (!first || deadlines[i] < first))
			first = deadlines[i];
	return first;
}

static void sleep_until_something(struct runner *r, const sigset_t *mask)
{
	uint64_t deadline = earliest(r), now = rfork_now();
	struct pollfd waiting[6] = {
		{ .fd = r->rfd, .events = POLLIN },
		{ .fd = r->notes_at > now ? -1 : r->notify, .events = POLLIN },
		{ .fd = r->probe, .events = POLLOUT },
		{ .fd = r->words.waits ? -1 : r->config->output_pipe[0], .events = POLLIN },
		{ .fd = r->ready_said ? -1 : r->config->ready_pipe[0], .events = POLLIN },
		run_exec_poll(r),
	};
	struct timespec left = { 0 };

	if (deadline > now) {
		left.tv_sec = (time_t)((deadline - now) / 1000000000);
		left.tv_nsec = (long)((deadline - now) % 1000000000);
	}
	if (ppoll(waiting, 6, deadline ? &left : NULL, mask) <= 0)
		return;
	if (waiting[2].revents)
		run_probe(r);
}

/* Whoever asks a second time means it. Of two that ask, as init and the supervisor do at the end, the second one only ends the
 * component's own wishes for more time. */
static void stop_again(struct runner *r)
{
	if (stop_sender == r->stop_sender) {
		r->stop_by = 0;
		rfork_stop(r->rfd, SIGKILL);
	} else if (r->stop_by > r->stop_plain) {
		r->stop_by = r->stop_plain;
	}
	r->extend_left = 0;
}

static void stop(struct runner *r, uint64_t grace)
{
	if (r->stopping) {
		stop_again(r);
		return;
	}
	r->stopping = true;
	r->stop_by = r->stop_plain = grace;
	r->stop_sender = stop_sender;
	r->kick_by = r->ready_by = r->beat_by = r->end_by = r->hang_by = 0;
	run_extend_begin(r);
	rfork_stop(r->rfd, SIGTERM);
}

static void heed_signals(struct runner *r)
{
	uint64_t grace = rfork_now() + r->config->stop_ms * RFORK_NSEC_PER_MSEC;

	if (stop_wanted) {
		stop_wanted = 0;
		stop(r, grace);
	}
	if (restart_wanted && !r->stopping && r->pid) {
		r->kick_by = r->kick_by && r->kick_by < grace ? r->kick_by : grace;
		r->end_by = 0;
		run_extend_begin(r);
		rfork_kick(r->rfd, SIGTERM, RFORK_CAUSE_OPERATOR);
	}
	restart_wanted = 0;
}

/* The news of the end is lost if this process ends before a full disk has taken it, and the supervisor would have to
 * guess. A stop waits only for a moment, because the supervisor knows what it has asked for. */
static void wait_for_log(struct runner *r, const sigset_t *mask)
{
	uint64_t deadline = r->stopping ? rfork_now() + STOP_LOG_NS : 0;
	struct timespec retry = { .tv_nsec = LOG_RETRY_NS };

	while (run_log_waits(&r->log) && (r->stopping ? rfork_now() < deadline : !stop_wanted)) {
		ppoll(NULL, 0, &retry, mask);
		run_log_check(&r->log);
	}
}

void run_loop(struct runner *r)
{
	sigset_t open_mask;

	take_signals(&r->origin.mask);
	open_mask = r->origin.mask;
	sigdelset(&open_mask, SIGTERM);
	sigdelset(&open_mask, SIGINT);
	sigdelset(&open_mask, SIGUSR1);
	if (!run_group_create(r)) {
		r->exit = RUN_SYSTEM;
		return;
	}
	run_record(&r->log, "started", "runner=%d pid=%d backend=%s boot=%s", (int)getpid(), (int)r->pid, r->backend,
		   run_boot_id());
	if (*run_missing(r->config))
		run_record(&r->log, "missing", "what=%s", run_missing(r->config));
	run_instance_begun(r);
	run_group_events(r);
	while (!r->ended) {
		sleep_until_something(r, &open_mask);
		run_output_drain(r);
		run_instance_executed(r);
		run_notes(r);
		run_group_events(r);
		if (r->ended)
			break;
		heed_signals(r);
		run_check_deadlines(r);
		run_status_check(r);
		run_store_check(r);
		run_checkpoints_check(r);
		run_output_check(r);
		run_log_check(&r->log);
	}
	run_cgroup_close(r);
	run_output_drain(r);
	run_output_flush(r);
	wait_for_log(r, &open_mask);
}
