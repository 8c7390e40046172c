/* SPDX-License-Identifier: MIT */
/* The rfork group: made, followed, and made anew where its image was poisoned. */
#include "run.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A component that does nothing but checkpoints must not keep the runner from all else. */
#define EVENTS_AT_ONCE 16

/* The first instance may have ended before it could be asked for; whatever happened
 * first names it. */
static void find_first(struct runner *r)
{
	struct rfork_info info;

	r->start_ns = rfork_now();
	if (rfork_query(r->rfd, &info) == 0 && info.pid && !info.generation) {
		r->pid = info.pid;
		r->start_ns = info.start_ns;
		return;
	}
	r->has_first = rfork_next_event(r->rfd, &r->first) == 1;
	if (r->has_first) {
		r->pid = r->first.old_pid;
		r->start_ns = r->first.fail_ns < r->start_ns ? r->first.fail_ns : r->start_ns;
	}
}

bool run_group_create(struct runner *r)
{
	pid_t pid;

	run_forget_ready_file(r->config);
	run_sweep_reap(false);
	pid = rfork_create(&r->config->rfork, &r->rfd);
	if (pid == 0)
		run_child(r->config, &r->origin);
	run_sweep_reap(true);
	r->monitor = r->config->rfork.backend == RFORK_BACKEND_KERNEL ? 0 : pid;
	if (pid < 0) {
		run_complain("rfork", r->config->argv[0], -pid);
		return false;
	}
	r->has_first = r->warm = r->checkpoint_was_ready = false;
	find_first(r);
	fcntl(r->rfd, F_SETFL, fcntl(r->rfd, F_GETFL) | O_NONBLOCK);
	return true;
}

static unsigned long long micros(uint64_t ns)
{
	return ns / 1000;
}

/* The OOM killer's SIGKILL is not an operator's. */
static bool is_oom(const struct runner *r, const struct rfork_event *event)
{
	return event->cause == RFORK_CAUSE_SIGNAL && WIFSIGNALED(event->status) && WTERMSIG(event->status) == SIGKILL &&
	       run_cgroup_oom_kills(r->config) > r->oom_kills;
}

static void record_restart(struct runner *r, const struct rfork_event *event)
{
	const char *detected = run_hang_detected(r, event);
	char status[32];

	run_words_keep(r);
	run_record(&r->log, "restart",
		   "gen=%llu level=%s backend=%s cause=%s status=%s old=%d pid=%d fail_us=%llu start_us=%llu latency_us=%llu%s",
		   (unsigned long long)r->generation, r->warm ? "warm" : "cold", r->backend,
		   is_oom(r, event) ? "oom" : rfork_cause_name(event->cause), run_status_text(event->status, status), (int)event->old_pid,
		   (int)r->pid, micros(r->fail_ns), micros(r->start_ns), micros(r->start_ns - r->fail_ns),
		   detected);
	if (*detected)		/* the downtime of the next `ready` begins here */
		r->fail_ns = r->hung_since;
}

static void on_restart(struct runner *r, const struct rfork_event *event)
{
	r->generation = r->origin.generation + event->generation;
	r->warm = event->flags & RFORK_WARM;
	r->pid = event->new_pid;
	r->fail_ns = event->fail_ns;
	r->start_ns = event->start_ns;
	if (event->cause != RFORK_CAUSE_OPERATOR)
		rfork_bucket_take(&r->bucket, event->fail_ns);
	record_restart(r, event);
	run_instance_begun(r);
}

static void record_checkpoint(struct runner *r)
{
	run_record(&r->log, "checkpoint", "pid=%d gen=%llu%s", (int)r->checkpoint_pid, (unsigned long long)r->generation,
		   run_rate_summary(&r->checkpoint_rate));
}

/* Before the news of an instance's end. */
static void tell_the_rest(struct runner *r)
{
	if (run_rate_makes_up(&r->checkpoint_rate, true))
		record_checkpoint(r);
	run_output_drain(r);
	run_output_flush(r);
}

void run_checkpoints_check(struct runner *r)
{
	if (run_rate_makes_up(&r->checkpoint_rate, false))
		record_checkpoint(r);
}

static void on_checkpoint(struct runner *r, const struct rfork_event *event)
{
	r->checkpoint_was_ready = r->ready;
	r->checkpoint_pid = event->old_pid;
	if (run_rate_allows(&r->checkpoint_rate))
		record_checkpoint(r);
}

static void finish(struct runner *r, const struct rfork_event *event, const char *reason, enum run_exit code)
{
	char status[32], error[7 + RUN_QUOTED_MAX] = "";

	if (r->exec.failed) {
		strcpy(error, " error=");
		run_quote(r->exec.text, error + 7, RUN_QUOTED_MAX);
	}
	run_words_keep(r);
	run_record(&r->log, "end", "reason=%s status=%s old=%d%s%s%s", reason, run_status_text(event->status, status),
		   (int)event->old_pid, is_oom(r, event) ? " cause=oom" : "", run_hang_detected(r, event), error);
	r->ended = true;
	r->exit = code;
}

/* Cold at once, from the start of PROGRAM; with the same restart intensity over all
 * groups, or a program whose checkpoint is always bad would go round for ever. */
static void begin_again(struct runner *r, const struct rfork_event *event)
{
	if (!rfork_bucket_take(&r->bucket, event->fail_ns)) {
		finish(r, event, rfork_end_name(RFORK_END_BURST), RUN_ENDED);
		return;
	}
	r->generation++;
	r->origin.generation = r->generation;
	r->origin.cause = event->cause;
	r->fail_ns = event->fail_ns;
	if (!run_group_create(r)) {
		finish(r, event, "error", RUN_SYSTEM);
		return;
	}
	record_restart(r, event);
	run_instance_begun(r);
}

static void on_poisoned(struct runner *r, const struct rfork_event *event)
{
	char status[32];

	run_record(&r->log, "poisoned", "old=%d status=%s", (int)event->old_pid, run_status_text(event->status, status));
	begin_again(r, event);
}

/* rfork itself never restarts what ends with status 0. */
static bool restarts_on_exit(const struct runner *r, const struct rfork_event *event)
{
	return r->config->on_exit && !r->stopping && event->reason == RFORK_END_EXIT && event->cause == RFORK_CAUSE_EXIT;
}

static void on_end(struct runner *r, const struct rfork_event *event)
{
	bool well = event->reason == RFORK_END_STOP ||
		    (event->reason == RFORK_END_EXIT && event->cause == RFORK_CAUSE_EXIT);

	close(r->rfd);
	r->rfd = -1;
	if (r->exec.failed)
		finish(r, event, "exec", RUN_ENDED);
	else if (r->never_ready && event->reason != RFORK_END_EXIT)
		finish(r, event, rfork_end_name(RFORK_END_BURST), RUN_ENDED);
	else if (restarts_on_exit(r, event))
		begin_again(r, event);
	else if (event->reason != RFORK_END_POISONED)
		finish(r, event, rfork_end_name(event->reason), well ? RUN_DONE : RUN_ENDED);
	else if (r->stopping)
		finish(r, event, rfork_end_name(RFORK_END_STOP), RUN_DONE);
	else
		on_poisoned(r, event);
}

static bool next(struct runner *r, struct rfork_event *event)
{
	if (r->has_first) {
		*event = r->first;
		r->has_first = false;
		return true;
	}
	return rfork_next_event(r->rfd, event) == 1;
}

void run_group_events(struct runner *r)
{
	struct rfork_event event;

	for (int left = EVENTS_AT_ONCE; left && !r->ended && next(r, &event); left--) {
		/* What was said before the event counts before it: READY=1 and then a
		 * checkpoint is an image that is ready. */
		run_instance_executed(r);
		run_notes(r);
		if (event.type != RFORK_EV_CHECKPOINT)
			tell_the_rest(r);
		run_drop_notes(r, event.type == RFORK_EV_CHECKPOINT ? 0 : event.old_pid);
		switch (event.type) {
		case RFORK_EV_RESTART: on_restart(r, &event); break;
		case RFORK_EV_CHECKPOINT: on_checkpoint(r, &event); break;
		case RFORK_EV_END: on_end(r, &event); break;
		}
		run_output_drain(r);
	}
}
