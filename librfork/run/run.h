/* SPDX-License-Identifier: MIT */
/* rfork-run: one component, one runner. docs/runner.md is its contract. */
#ifndef RUN_H
#define RUN_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/types.h>
#include "../src/internal.h"

#define RUN_MAX_SETTINGS 64
#define RUN_MAX_GROUPS 64
#define RUN_NAME_MAX 32
#define RUN_MAX_LISTEN 16
#define RUN_MAX_GRANTS 64
#define RUN_ERROR_MAX 200	/* bytes of a reason in words */
#define RUN_QUOTED_MAX 360	/* of these in a record, which has fewer than 512 */

enum run_exit { RUN_DONE = 0, RUN_ENDED = 1, RUN_USAGE = 100, RUN_SYSTEM = 111 };
enum run_ready { READY_NONE, READY_NOTIFY, READY_FILE, READY_PORT, READY_FD };

struct run_limit {
	int resource;
	rlim_t value;
};

struct run_grant {
	const char *path;
	bool write;
};

struct run_mount {
	const char *path;
	bool hidden;		/* else read-only */
};

struct run_config {
	char name[RUN_NAME_MAX + 1];
	const char *state, *poke, *user, *directory, *output;
	struct rfork_options rfork;
	enum run_ready ready;
	const char *ready_path;
	uint16_t ready_port;
	uint32_t ready_ms, heartbeat_ms, stop_ms, extend_max_ms;
	int heartbeat_signal;		/* 0: SIGKILL at once */
	char *environment[RUN_MAX_SETTINGS];
	struct run_limit limits[RUN_MAX_SETTINGS];
	unsigned int environment_count, limit_count;
	uid_t uid;
	gid_t gid, groups[RUN_MAX_GROUPS];
	unsigned int group_count;
	char **argv;
	/* socket activation; the s6 descriptor: both ends of its pipe */
	const char *listen[RUN_MAX_LISTEN];
	int listen_fds[RUN_MAX_LISTEN];
	unsigned int listen_count;
	int store[2];			/* who looks, and who puts */
	unsigned int store_max;		/* 0: nothing is stored */
	int ready_fd, ready_pipe[2];
	int exec_sockets[2];		/* the runner's, and the one on which each instance passes its channel */
	int output_pipe[2];		/* -1: the instance opens its output itself */
	uint32_t output_rate;		/* bytes a second; 0: what suits the kind of output */
	/* confinement */
	const char *root, *cgroup;
	const char *stack;		/* folder for what --stack finds; nothing is started */
	char *cgroup_set[RUN_MAX_SETTINGS];
	unsigned int cgroup_set_count;
	struct run_grant grants[RUN_MAX_GRANTS];
	unsigned int grant_count;
	struct run_mount mounts[RUN_MAX_GRANTS];
	unsigned int mount_count;
	uint64_t capabilities;
	const char *more_groups[RUN_MAX_GROUPS];
	unsigned int more_group_count;
	bool keep;
	bool on_exit;			/* restart after status 0 too */
	bool limit_capabilities, no_new_privileges, cgroup_made, cgroup_kills, private_tmp;
};

/* options.c, accounts.c */
void run_parse(struct run_config *config, int argc, char **argv);
bool run_find_user(struct run_config *config);
bool run_find_group(const char *name, gid_t *gid);

/* environment.c */
void run_add_environment(struct run_config *config, char *text);
void run_read_environment(struct run_config *config, int fd);

/* grants.c */
void run_add_listen(struct run_config *config, const char *text);
void run_set_capabilities(struct run_config *config, const char *text);
void run_add_grant(struct run_config *config, const char *path, bool write);
void run_add_mount(struct run_config *config, const char *path, bool hidden);
void run_add_cgroup_set(struct run_config *config, char *text);
void run_add_group(struct run_config *config, const char *name);
void run_find_more_groups(struct run_config *config);

/* problem.c */
_Noreturn __attribute__((format(printf, 1, 2))) void run_misuse(const char *format, ...);
_Noreturn void run_fail(const char *what, const char *object);
void run_complain(const char *what, const char *object, int error);
void run_problem_text(char text[RUN_ERROR_MAX + 1], const char *what, const char *object, int error);

/* state.c */
char *run_state_path(const struct run_config *config, const char *file);
void run_state_open(const struct run_config *config);
int run_notify_open(const struct run_config *config);
bool run_wants_notify(const struct run_config *config);
const char *run_notify_name(void);

/* previous.c */
void run_previous_wait(const struct run_config *config);

/* tail.c */
#define RUN_PREFIX "rfork-run/1 "
#define RUN_ROTATE_AT 65536
struct run_tail {
	uint64_t number;	/* the last one that has been used; 0: none */
	off_t whole;		/* the file's length without half a line at its end; -1: unknown */
	bool torn;
};
struct run_tail run_tail_of(const char *path);

/* record.c */
struct run_log {
	char *path, *old_path;	/* NULL: standard error */
	int fd;
	uint64_t number;
	off_t size;
	dev_t device;
	ino_t inode;
	bool torn;		/* the file ends within a line, and cannot be cut */
	char held[65536];	/* what a full disk did not take */
	size_t held_length;
	int error;		/* why it did not */
	uint64_t retry_at;	/* 0: nothing is held */
	const char *name, *poke;
	int poke_socket;
};
void run_log_open(struct run_log *log, const struct run_config *config);
__attribute__((format(printf, 3, 4))) void run_record(struct run_log *log, const char *event, const char *format, ...);
void run_log_check(struct run_log *log);
bool run_log_waits(const struct run_log *log);
void run_quote(const char *text, char *out, size_t size);
const char *run_status_text(int status, char text[32]);
int run_signal_number(const char *name);
const char *run_boot_id(void);

/* notify.c */
#define NOTE_READY 1u
#define NOTE_ALIVE 2u
#define NOTE_TRIGGER 4u
#define NOTE_STOPPING 8u
#define NOTE_EXTEND 16u
#define NOTE_MAIN 32u
#define NOTE_STATUS 64u
#define NOTE_STORE 128u
#define NOTE_REMOVE 256u
#define RUN_STATUS_MAX 80
#define RUN_ANCESTORS 8
struct run_process {
	uint64_t start;		/* in clock ticks since the boot, as the kernel has it; 0: the process was gone */
	pid_t line[RUN_ANCESTORS];	/* itself and its ancestors; 0 ends it */
};
struct run_note {
	pid_t sender, main_pid;
	uid_t user;		/* the sender's */
	struct run_process process;	/* the sender when its message was read */
	unsigned int what;
	uint64_t extend_ns;
	int fds[RUN_MAX_LISTEN];
	unsigned int fd_count;
	char fd_name[RUN_NAME_MAX + 1];
	char status[RUN_STATUS_MAX + 1];
};
bool run_notify_receive(const struct run_config *config, int socket, struct run_note *note);
struct run_process run_process_of(pid_t pid);
bool run_descends(const struct run_process *process, pid_t ancestor);

/* keep.c */
enum run_exit run_keep(const struct run_config *config);

/* oom.c */
void run_oom_last(void);
void run_oom_usual(void);

/* stack.c */
enum run_exit run_stack(const struct run_config *config);
void run_stack_head(FILE *to, pid_t pid);
void run_stack_tell(FILE *to, pid_t pid, uint64_t place, uint64_t stack);

/* listen.c */
void run_listen_open(struct run_config *config);
void run_listen_give(const struct run_config *config);

/* confine.c */
void run_confine_root(const struct run_config *config);
void run_confine_before(const struct run_config *config);
void run_confine_after(const struct run_config *config);
const char *run_missing(const struct run_config *config);

/* mounts.c */
void run_mounts(const struct run_config *config);
bool run_mounts_missing(const struct run_config *config);

/* child.c */
struct run_origin {		/* what an instance's environment says of those before it */
	uint64_t generation;
	unsigned int cause;
	sigset_t mask;
	struct sigaction pipe;
};
_Noreturn void run_child(const struct run_config *config, const struct run_origin *origin);

/* lines.c */
#define RUN_LINE_MAX 1024
struct run_lines {		/* what goes onto a terminal, a line at a time */
	char text[RUN_LINE_MAX];
	size_t length;
	unsigned int rest;	/* bytes of a UTF-8 character that are to come */
	bool control, returned;	/* the character may be a control character; the last one was a carriage return */
};
size_t run_lines_take(struct run_lines *lines, const char *data, size_t length, bool *whole);
size_t run_lines_give(struct run_lines *lines, const char *name, char *out, size_t size);

/* words.c */
#define RUN_MARK 17
#define RUN_WORDS_MAX 480
struct run_words {
	char last[RUN_WORDS_MAX];
	size_t length;
	size_t matched;		/* bytes of a mark, and then of its generation */
	uint64_t generation;
	bool waits;		/* for the restart that begins that generation */
	unsigned int kept;
};
struct runner;
void run_words_open(const struct run_config *config);
void run_words_mark(int pipe, uint64_t generation);
typedef void run_words_pass(struct runner *r, const char *data, size_t length);
size_t run_words_take(struct runner *r, const char *data, size_t length, run_words_pass *pass);
bool run_words_wait(struct runner *r);
void run_words_forget(struct runner *r);
void run_words_keep(struct runner *r);

/* output.c */
#define RUN_CHUNK 4096
#define RUN_MARKED_MAX (RUN_NAME_MAX + 3 + 2 * RUN_LINE_MAX)
struct run_capture {
	int sink;
	struct run_lines lines;
	uint64_t due;		/* when half a line is written; 0: there is none */
	bool is_file;
	off_t size;
	uint64_t rate, tokens, refilled, dropped; /* bytes a second; bytes; when; bytes */
	uint64_t reopen_at;	/* when the file is tried again, which could not be opened */
	int error;		/* why the last write took less than all; 0: it did not */
	char held[RUN_CHUNK];	/* what the next instance has said already */
	size_t held_length;
};
void run_output_open(struct run_config *config, struct run_capture *capture);

/* main.c */
void run_usual_signals(void);

/* rate.c */
struct run_rate {
	uint64_t full_until, left_out;	/* when the whole burst is there again; records */
};
bool run_rate_allows(struct run_rate *rate);
uint64_t run_rate_due(const struct run_rate *rate);
bool run_rate_makes_up(struct run_rate *rate, bool now);
const char *run_rate_summary(struct run_rate *rate);

/* loop.c */
#define RUN_PENDING 16
struct run_exec {		/* execute.c */
	int fd;			/* the channel of an instance that has not executed its program yet; -1: none */
	uint64_t generation;	/* that one's, or the last one's */
	uint64_t executed;	/* 1 more than the generation of the last one that has executed it; 0: none has */
	pid_t pid;		/* that one's; it leads a session */
	bool begun, failed;
	char text[RUN_ERROR_MAX + 1];
	size_t length;
};
struct runner {
	const struct run_config *config;
	struct run_log log;
	struct run_origin origin;
	struct rfork_bucket bucket;	/* over all groups: cold restarts after poisoned images too */
	const char *backend;
	int rfd, notify, probe;		/* probe: a connect under way, or -1 */
	struct rfork_event first;	/* read while the group was set up */
	bool has_first;
	pid_t pid, main_pid, monitor;	/* monitor: of the user level, else 0 */
	uint64_t main_start;	/* run_process.start of main_pid */
	uint64_t status_next, status_at; /* when the status below is recorded; 0: it has been */
	char status[RUN_STATUS_MAX + 1];
	uint64_t generation;		/* all groups' restarts */
	uint64_t start_ns, fail_ns;
	bool ready, checkpoint_was_ready, warm;
	uint64_t cold_generation;	/* the last one that began at the start of PROGRAM */
	bool in_mark, ready_said;	/* readyfd.c */
	uint64_t mark, ready_mark;
	bool store_published;
	bool stopping;
	struct run_capture capture;
	struct run_words words;
	struct run_exec exec;
	unsigned int late;	/* instances in a row that did not get ready in time */
	unsigned int held_up;	/* heartbeats in a row that this process looked at too late to judge */
	bool never_ready;	/* more than restart intensity allows: being stopped for it */
	uint64_t ready_by, beat_by, probe_at, stop_by, kick_by; /* 0: none */
	uint64_t end_by;	/* after STOPPING=1 */
	uint64_t oom_kills;	/* in its control group, before it began */
	uint64_t alive_ns;	/* when it last gave a sign of life */
	uint64_t hung_since, hang_by;	/* 0: it has not been found to hang; until when the heartbeat signal has time */
	struct run_rate status_rate, checkpoint_rate, store_rate;
	uint64_t extend_left;	/* by how much the limits above can still be moved */
	uint64_t extend_told, extend_step;	/* until when, and for how long, the last `extend` record said */
	uint64_t stop_plain;	/* when the stop's time is over, without what was added to it */
	pid_t checkpoint_pid;	/* who made the last one */
	pid_t stop_sender;	/* whoever asked for the stop */
	struct run_note pending[RUN_PENDING];	/* from instances not heard of yet */
	unsigned int pending_count;
	uint64_t notes_at;	/* no note is read until then; 0: no pause */
	bool ended;
	enum run_exit exit;
};
void run_loop(struct runner *r);

/* group.c */
bool run_group_create(struct runner *r);
void run_group_events(struct runner *r);
void run_checkpoints_check(struct runner *r);

/* ready.c */
void run_instance_begun(struct runner *r);
void run_instance_executed(struct runner *r);
void run_instance_ready(struct runner *r, uint64_t when);
void run_notes(struct runner *r);
void run_drop_notes(struct runner *r, pid_t sender);
void run_forget_ready_file(const struct run_config *config);
void run_ready_check(const struct run_config *config);
void run_probe(struct runner *r);
void run_check_deadlines(struct runner *r);

/* hang.c */
void run_hang(struct runner *r);
void run_hang_check(struct runner *r);
const char *run_hang_detected(struct runner *r, const struct rfork_event *event);

/* extend.c */
void run_extend_begin(struct runner *r);
void run_extend(struct runner *r, uint64_t ns);

/* status.c */
void run_status_said(struct runner *r, const char *text);
void run_status_check(struct runner *r);

/* store.c */
struct msghdr;
void run_store_open(struct run_config *config);
unsigned int run_store_take(struct msghdr *message, int *fds);
void run_store_check(struct runner *r);
void run_store_heed(struct runner *r, struct run_note *note);
void run_store_drop(struct run_note *note);
unsigned int run_store_give(const struct run_config *config, char *names, size_t size);

/* channel.c */
void run_channel_set(int fd);
int run_channel(void);
void run_channel_fail(const char *text);

/* execute.c */
struct pollfd;
void run_exec_open(struct run_config *config);
void run_exec_give(const struct run_config *config, uint64_t generation);
void run_exec_begin(void);
void run_exec_heed(struct runner *r);
bool run_has_executed(const struct runner *r);
struct pollfd run_exec_poll(const struct runner *r);

/* readyfd.c */
int run_high_fd(int fd);
void run_ready_fd_open(struct run_config *config);
void run_ready_fd_give(const struct run_config *config, uint64_t generation);
bool run_ready_fd_said(struct runner *r);

/* sweep.c */
struct run_remains {		/* whose: pids, 0 where there is none */
	pid_t runner;		/* whose orphans they may be */
	pid_t monitor, session, instance;
	pid_t next;		/* to be spared */
};
void run_sweep_open(void);
void run_sweep_reap(bool reap);
void run_sweep(const struct run_config *config, const struct run_remains *of);

/* cgroup.c */
void run_cgroup_open(struct run_config *config);
void run_cgroup_enter(const struct run_config *config, bool first);
uint64_t run_cgroup_oom_kills(const struct run_config *config);
void run_cgroup_close(struct runner *r);

/* output.c */
void run_output_drain(struct runner *r);
void run_output_flush(struct runner *r);
void run_output_check(struct runner *r);
void run_output_give(const struct run_config *config, uint64_t generation);

#endif
