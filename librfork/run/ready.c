/* SPDX-License-Identifier: MIT */
/* Readiness and heartbeat of the instance that runs now. */
#include "path.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROBE_NS (20 * RFORK_NSEC_PER_MSEC)
#define HELD_UP_MAX 3
#define NOTES_AT_ONCE 32
#define NOTES_PAUSE_NS (10 * RFORK_NSEC_PER_MSEC)

static uint64_t ms(uint32_t value)
{
	return value * RFORK_NSEC_PER_MSEC;
}

static void has_beaten(struct runner *r)
{
	r->held_up = 0;
	r->alive_ns = rfork_now();
	r->beat_by = r->alive_ns + ms(r->config->heartbeat_ms);
}

void run_instance_ready(struct runner *r, uint64_t when)
{
	uint64_t downtime = r->generation && when > r->fail_ns ? when - r->fail_ns : 0;

	r->alive_ns = when;
	r->ready = true;
	r->late = 0;
	r->ready_by = r->probe_at = 0;
	if (r->probe >= 0)
		close(r->probe);
	r->probe = -1;
	if (r->config->heartbeat_ms)
		has_beaten(r);
	run_record(&r->log, "ready", "pid=%d gen=%llu downtime_us=%llu", (int)r->pid,
		   (unsigned long long)r->generation, (unsigned long long)downtime / 1000);
}

/* What is ready as soon as it has executed its program. */
void run_instance_executed(struct runner *r)
{
	run_exec_heed(r);
	if (r->config->ready == READY_NONE && !r->ready && !r->ended && run_has_executed(r))
		run_instance_ready(r, rfork_now());
}

/* It is busy ending, and beats no more. Another limit takes the heartbeat's place, unless one is set already. */
static void is_ending(struct runner *r)
{
	r->beat_by = 0;
	r->alive_ns = rfork_now();
	if (!r->stop_by && !r->kick_by && !r->end_by)
		r->end_by = rfork_now() + ms(r->config->stop_ms);
}

/* It says so itself, which is a sign of life. */
static void is_broken(struct runner *r)
{
	r->alive_ns = rfork_now();
	if (r->stopping)
		rfork_kick(r->rfd, SIGKILL, RFORK_CAUSE_HEARTBEAT);
	else if (!r->hang_by)
		run_hang(r);
}

static void heed(struct runner *r, struct run_note *note)
{
	unsigned int what = note->what;

	if (what & NOTE_READY && r->config->ready == READY_NOTIFY) {
		/* An image that says it again was made before it was ready. */
		if (r->ready && r->warm)
			r->checkpoint_was_ready = false;
		if (!r->ready)
			run_instance_ready(r, rfork_now());
	}
	if (what & NOTE_ALIVE && r->beat_by)
		has_beaten(r);
	if (what & NOTE_TRIGGER && r->pid && r->rfd >= 0)
		is_broken(r);
	if (what & NOTE_STOPPING)
		is_ending(r);
	if (what & NOTE_EXTEND)
		run_extend(r, note->extend_ns);
	if (what & NOTE_MAIN) {
		r->main_pid = note->main_pid;
		r->main_start = run_process_of(note->main_pid).start;
	}
	if (what & NOTE_STATUS)
		run_status_said(r, note->status);
	run_store_heed(r, note);
}

/* A component of root's may have processes of any user; what runs as a user speaks as that user or as root. */
static bool is_its_user(const struct runner *r, const struct run_note *note)
{
	return !r->config->user || note->user == r->config->uid || note->user == 0;
}

/* MAINPID= names a daemon that may speak for the instance although it is not a child of it. Once that process has ended, another
 * may get its number. */
static bool is_main(const struct runner *r, const struct run_note *note)
{
	return r->main_pid && note->sender == r->main_pid && r->main_start && note->process.start == r->main_start;
}

/* Other than the instance itself, a sender that was gone before its message was read may have been any process of that user.
 * It is not heard. */
static bool speaks_for_it(const struct runner *r, const struct run_note *note)
{
	return is_its_user(r, note) && (is_main(r, note) || run_descends(&note->process, r->pid));
}

/* The instance of a restart that we have not read of yet may already speak. */
static void keep(struct runner *r, const struct run_note *note)
{
	if (r->pending_count == RUN_PENDING) {
		run_store_drop(r->pending);
		memmove(r->pending, r->pending + 1, sizeof r->pending - sizeof *r->pending);
		r->pending_count--;
	}
	r->pending[r->pending_count++] = *note;
}

/* So many at a time, then a pause: two senders can see to it that the socket is never empty, and each message costs some looks
 * into /proc. In a pause they wait. */
static void hear(struct runner *r)
{
	struct run_note note;
	int left = NOTES_AT_ONCE;

	while (left && run_notify_receive(r->config, r->notify, &note)) {
		if (note.what && speaks_for_it(r, &note))
			heed(r, &note);
		else if (note.what && is_its_user(r, &note))
			keep(r, &note);
		else
			run_store_drop(&note);
		left--;
	}
	r->notes_at = left ? 0 : rfork_now() + NOTES_PAUSE_NS;
}

void run_notes(struct runner *r)
{
	if (r->notify >= 0 && rfork_now() >= r->notes_at)
		hear(r);
	if (run_ready_fd_said(r) && !r->ready)
		run_instance_ready(r, rfork_now());
}

/* Heeds what was kept from the instance that runs now, and its children. */
static void heed_kept(struct runner *r)
{
	struct run_note notes[RUN_PENDING];
	unsigned int count = r->pending_count;

	memcpy(notes, r->pending, sizeof notes);
	r->pending_count = 0;
	for (unsigned int i = 0; i < count; i++) {
		if (speaks_for_it(r, &notes[i]))
			heed(r, &notes[i]);
		else
			keep(r, &notes[i]);
	}
}

void run_drop_notes(struct runner *r, pid_t sender)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < r->pending_count; i++)
		if (r->pending[i].sender != sender)
			r->pending[kept++] = r->pending[i];
		else
			run_store_drop(&r->pending[i]);
	r->pending_count = kept;
}

void run_instance_begun(struct runner *r)
{
	r->ready = false;
	r->main_pid = 0;
	run_words_forget(r);
	if (!r->stopping)
		run_extend_begin(r);
	r->status[0] = '\0';
	r->status_at = 0;
	if (!r->warm)
		r->cold_generation = r->generation;
	r->ready_by = r->beat_by = r->probe_at = r->kick_by = r->end_by = r->hang_by = r->hung_since = 0;
	r->alive_ns = r->start_ns;
	r->oom_kills = run_cgroup_oom_kills(r->config);
	if (r->probe >= 0)
		close(r->probe);
	r->probe = -1;
	if (r->warm && (r->config->ready == READY_NONE || r->checkpoint_was_ready)) {
		run_instance_ready(r, r->start_ns);
	} else if (r->config->ready == READY_NONE) {
		if (run_has_executed(r))
			run_instance_ready(r, rfork_now());
	} else {
		if (r->config->ready_ms)
			r->ready_by = rfork_now() + ms(r->config->ready_ms);
		if (r->config->ready == READY_FILE || r->config->ready == READY_PORT)
			r->probe_at = rfork_now();
	}
	heed_kept(r);
	if (run_ready_fd_said(r) && !r->ready)
		run_instance_ready(r, rfork_now());
}

/* A file whose path is refused is never there: better said at the start. */
void run_ready_check(const struct run_config *config)
{
	struct run_place place;

	if (config->ready != READY_FILE)
		return;
	if (run_path_find(config, -1, config->ready_path, false, &place))
		run_path_leave(&place);
	else if (run_path_refused())
		run_path_fail("ready");
}

/* What a dead instance left must not speak for the next one. A device or a folder that is
 * waited for is not ours to remove. */
void run_forget_ready_file(const struct run_config *config)
{
	struct run_place place;
	struct stat st;

	if (config->ready != READY_FILE)
		return;
	if (!run_path_find(config, -1, config->ready_path, false, &place)) {
		if (run_path_refused())
			run_path_complain("ready");
		return;
	}
	if (fstatat(place.folder, place.name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode) || S_ISSOCK(st.st_mode) || S_ISFIFO(st.st_mode)) &&
	    unlinkat(place.folder, place.name, 0) < 0 && errno != ENOENT)
		run_complain("unlink", config->ready_path, errno);
	run_path_leave(&place);
}

/* An instance of a cold restart removes the file itself, just before it executes its
 * program: until then the file is the former one's. */
static bool file_is_there(const struct runner *r)
{
	struct run_place place;
	struct stat st;
	bool there;

	if (!run_has_executed(r) || !run_path_find(r->config, -1, r->config->ready_path, false, &place))
		return false;
	there = fstatat(place.folder, place.name, &st, 0) == 0;
	run_path_leave(&place);
	return there;
}

static int connect_begin(struct runner *r)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(r->config->ready_port),
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};

	r->probe = socket(AF_INET, SOCK_STREAM, 0);
	if (r->probe < 0)
		return -errno;
	fcntl(r->probe, F_SETFD, FD_CLOEXEC);
	fcntl(r->probe, F_SETFL, O_NONBLOCK);
	return connect(r->probe, (struct sockaddr *)&address, sizeof address) < 0 ? -errno : 0;
}

static int connect_result(struct runner *r)
{
	int error = 0;
	socklen_t size = sizeof error;

	return getsockopt(r->probe, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? -errno : -error;
}

/* A port from which connections are made may be given to the probe itself, and TCP lets
 * both ends be the same. */
static bool connected_to_itself(int fd)
{
	struct sockaddr_in here = { 0 }, there = { 0 };
	socklen_t size = sizeof here, size_there = sizeof there;

	return getsockname(fd, (struct sockaddr *)&here, &size) == 0 &&
	       getpeername(fd, (struct sockaddr *)&there, &size_there) == 0 &&
	       here.sin_port == there.sin_port && here.sin_addr.s_addr == there.sin_addr.s_addr;
}

static bool port_answers(struct runner *r)
{
	int rc = r->probe >= 0 ? connect_result(r) : connect_begin(r);

	if (rc == 0 && !connected_to_itself(r->probe))
		return true;
	if (rc == -EINPROGRESS)
		return false;	/* poll(2) tells */
	if (r->probe >= 0)
		close(r->probe);
	r->probe = -1;
	return false;
}

/* Called when probe_at is reached, or the connect under way has come to something. */
void run_probe(struct runner *r)
{
	bool there;

	if (r->ready || (!r->probe_at && r->probe < 0))
		return;
	if (r->config->ready == READY_FILE)
		there = file_is_there(r);
	else	/* before its exec the port can only be another's */
		there = run_has_executed(r) && port_answers(r);
	if (there)
		run_instance_ready(r, rfork_now());
	else
		r->probe_at = r->probe >= 0 ? 0 : rfork_now() + PROBE_NS;
}

/* A missed heartbeat is the component's fault only if this process itself was not held
 * up: it judges late when the whole machine stood still, and then waits a period more. On a machine that
 * always does, a component that hangs is found all the same, a few periods later. */
static void check_heartbeat(struct runner *r, uint64_t now)
{
	uint64_t period = ms(r->config->heartbeat_ms);
	uint64_t slack = period / 4 > 50 * RFORK_NSEC_PER_MSEC ? period / 4 : 50 * RFORK_NSEC_PER_MSEC;

	if (!r->beat_by || now < r->beat_by)
		return;
	if (now - r->beat_by > slack && r->held_up++ < HELD_UP_MAX) {
		r->beat_by = now + period;
		return;
	}
	run_hang(r);
}

/* Time limits of half a minute never add up to a burst in ten seconds, so these are
 * counted by themselves: in a row, however long that takes. */
static void not_ready_in_time(struct runner *r)
{
	if (++r->late > r->config->rfork.burst)
		r->never_ready = r->stopping = true;
	run_hang(r);
}

void run_check_deadlines(struct runner *r)
{
	uint64_t now = rfork_now();

	if (r->probe_at && now >= r->probe_at)
		run_probe(r);
	if (r->stop_by && now >= r->stop_by) {
		r->stop_by = 0;
		rfork_stop(r->rfd, SIGKILL);
	}
	if (r->kick_by && now >= r->kick_by) {
		r->kick_by = 0;
		rfork_kick(r->rfd, SIGKILL, RFORK_CAUSE_OPERATOR);
	}
	if (r->stopping)
		return;
	run_hang_check(r);
	check_heartbeat(r, now);
	if (r->end_by && now >= r->end_by)
		run_hang(r);
	if (r->ready_by && now >= r->ready_by)
		not_ready_in_time(r);
}
