/* SPDX-License-Identifier: MIT */
/* The groups of a worker: made, read from, told what to do, and ended, with what must hold on the way. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harden.h"

#define END_S 60

struct owned_group groups[GROUPS];

struct owned_group *group_any(void)
{
	struct owned_group *group = &groups[below(GROUPS)];

	return group->used ? group : NULL;
}

static struct rfork_args random_args(int *rfd)
{
	static const uint32_t bursts[] = { 0, 1, 3, 20, 100 };
	static const uint32_t signals[] = { SIGCHLD, SIGCHLD, SIGCHLD, 0, SIGUSR1, SIGWINCH };

	return (struct rfork_args){
		.flags = chance() & KNOWN_FLAGS,
		.rfd = one_in(6) ? 0 : (uintptr_t)rfd,
		.exit_signal = signals[below(COUNT_OF(signals))],
		.restart_status = one_in(3) ? 1 + below(255) : 0,
		.burst = bursts[below(COUNT_OF(bursts))],
		.window_ms = one_in(2) ? 0 : 1 + below(1000),
		.probation_ms = one_in(2) ? 0 : below(50),
	};
}

void group_create(void)
{
	struct owned_group *group = &groups[below(GROUPS)];
	struct rfork_args args;
	int rfd = -1;
	long result;

	if (group->used)
		return;
	args = random_args(&rfd);
	result = rfork_call(RFORK_CREATE, &args, sizeof args);
	if (result < 0) {
		if (!faulty && result != -EAGAIN && result != -EMFILE && result != -ENOMEM)
			finding("a right rfork(CREATE) gives error %ld", -result);
		return;
	}
	*group = (struct owned_group){ .used = 1, .rfd = args.rfd ? rfd : -1, .first = result, .last = result };
	if (args.rfd && fcntl(rfd, F_SETFL, O_NONBLOCK) < 0)
		finding("descriptor %d of a new group: error %d", rfd, errno);
}

static void check_event(struct owned_group *group, const struct rfork_event *event)
{
	if (group->ended)
		finding("event %u after END", event->type);
	if (event->seq <= group->seq || event->generation < group->generation)
		finding("event %llu of generation %llu after %llu of %llu", (unsigned long long)event->seq,
			(unsigned long long)event->generation, (unsigned long long)group->seq,
			(unsigned long long)group->generation);
	if (event->type < RFORK_EV_CHECKPOINT || event->type > RFORK_EV_END || event->cause > RFORK_CAUSE_EXIT)
		finding("event of type %u, cause %u", event->type, event->cause);
	if ((event->type == RFORK_EV_END) != (event->reason != 0) || event->reason > RFORK_END_OWNER)
		finding("event of type %u, reason %u", event->type, event->reason);
	if (event->type == RFORK_EV_RESTART && event->start_ns < event->fail_ns)
		finding("started %llu ns before it failed", (unsigned long long)(event->fail_ns - event->start_ns));
}

/* All events that are there. */
void group_read(struct owned_group *group)
{
	struct rfork_event event;
	ssize_t size;

	if (!group->used || group->rfd < 0)
		return;
	while ((size = read(group->rfd, &event, sizeof event)) == sizeof event) {
		check_event(group, &event);
		group->seq = event.seq;
		group->generation = event.generation;
		if (event.type == RFORK_EV_RESTART)
			group->last = event.new_pid;
		group->ended = event.type == RFORK_EV_END;
	}
	if (size == 0 ? !group->ended : size > 0 || (errno != EAGAIN && errno != EINTR))
		finding("read of a group's descriptor gives %zd, error %d, ended %d", size, errno, group->ended);
}

static void check_info(const struct owned_group *group, long result, const struct rfork_info *info)
{
	if (result < 0) {
		finding("rfork(INFO) of a group gives error %ld", -result);
		return;
	}
	if (info->rfd != group->rfd || info->generation < group->generation || info->reason > RFORK_END_OWNER)
		finding("rfork(INFO): rfd %d for %d, generation %llu after %llu, reason %u", info->rfd, group->rfd,
			(unsigned long long)info->generation, (unsigned long long)group->generation, info->reason);
	if (group->ended && (!info->reason || info->pid))
		finding("rfork(INFO) after END: reason %u, instance %d", info->reason, info->pid);
}

void group_control(struct owned_group *group)
{
	struct rfork_ctl ctl = { .rfd = group->rfd, .signal = one_in(2) ? 0 : below(65) };
	struct rfork_info info = { .rfd = group->rfd };
	struct outcome outcome = { .cmd = RFORK_RESTART, .allowed = BIT(ESRCH), .may_succeed = 1 };

	if (group->rfd < 0)
		return;
	if (one_in(3)) {
		check_info(group, rfork_call(RFORK_INFO, &info, sizeof info), &info);
		return;
	}
	if (one_in(6))
		outcome.cmd = RFORK_STOP;
	else
		ctl.cause = one_in(2) ? RFORK_CAUSE_OPERATOR : RFORK_CAUSE_HEARTBEAT;
	if (geteuid() != 0)
		outcome.allowed |= BIT(EPERM); /* the instance may be of the user that this was before */
	outcome.result = rfork_call(outcome.cmd, &ctl, sizeof ctl);
	judge_call(&outcome);
}

/* As a supervisor that lost interest: the group goes on without a descriptor. */
void group_forget(struct owned_group *group)
{
	if (group->rfd >= 0)
		close(group->rfd);
	*group = (struct owned_group){ .rfd = -1 };
}

static void await_end(struct owned_group *group)
{
	long long end = now_ms() + END_S * 1000LL;
	struct pollfd waiting = { .fd = group->rfd, .events = POLLIN };

	while (!group->ended && now_ms() < end) {
		poll(&waiting, 1, 1000);
		group_read(group);
	}
	if (group->ended)
		return;
	finding("no END of group of %d (now %d) within %d s of its stop", group->first, group->last, END_S);
	show_tasks("after a stop");
}

void groups_stop(void)
{
	for (struct owned_group *group = groups; group < groups + GROUPS; group++) {
		struct rfork_ctl ctl = { .rfd = group->rfd, .signal = SIGKILL };

		if (group->used && group->rfd >= 0) {
			rfork_call(RFORK_STOP, &ctl, sizeof ctl);
			await_end(group);
			group_forget(group);
		}
	}
}
