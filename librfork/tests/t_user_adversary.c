/* SPDX-License-Identifier: MIT */
/*
 * An instance with a user of its own is an adversary: it says anything on the socket to the monitor, which is root's. The
 * monitor signals only its own children, and always goes on working.
 */
#include "system.h"
#include <sched.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include "../monitor/messages.h"
#include "../src/wire.h"
#include "linger.h"

#define SIBLING_FLAGS (CLONE_PARENT | SIGCHLD)
#define FLOODERS 8
#define MOST_FDS 253

static struct common {
	_Atomic int done;	/* the instance has done what it wanted to */
	_Atomic int errors[8];	/* what it was answered */
	pid_t victim, monitor;
	_Atomic int go;
} *common;

static int isolated;		/* in a PID namespace of our own: PID -1 means nobody else */

static int control_socket(void)
{
	const char *known = getenv("RFORK_USER");
	unsigned int pid, control;

	CHECK(known && sscanf(known, "%x,%x,", &pid, &control) == 2);
	return (int)control;
}

/* A child of the monitor that does nothing. */
static pid_t sibling(void)
{
	pid_t pid = (pid_t)syscall(SYS_clone, SIBLING_FLAGS, NULL, NULL, NULL, NULL);

	CHECK(pid >= 0);
	while (pid == 0)
		pause();
	return pid;
}

static int send_notice(struct rfork_notice notice, const int *fds, int count)
{
	struct rfork_packet out = { .data = &notice, .size = sizeof notice, .fd_count = count };

	for (int i = 0; i < count; i++)
		out.fds[i] = fds[i];
	return rfork_wire_send(control_socket(), &out, 0);
}

/* Says that this is the holder of a checkpoint. The holder's end of its socket is in *order. */
static int claim(pid_t holder, int *order)
{
	int orders[2], replies[2];
	int32_t error;
	struct rfork_packet in = { .data = &error, .size = sizeof error };

	EQUAL(rfork_wire_pair(SOCK_STREAM, orders), 0);
	EQUAL(rfork_wire_pair(SOCK_STREAM, replies), 0);
	EQUAL(send_notice((struct rfork_notice){ RFORK_NOTICE_CHECKPOINT, holder }, (int[]){ orders[0], replies[1] }, 2), 0);
	close(orders[0]);
	close(replies[1]);
	EQUAL(rfork_wire_receive(replies[0], &in, 0), 1);
	close(replies[0]);
	if (order)
		*order = orders[1];
	return error;
}

static _Noreturn void wait_for_the_end(void)
{
	common->done = 1;
	for (;;)
		pause();
}

/* Takes the monitor's order, and answers with a process that is not the monitor's. */
static void answer_with(pid_t pid)
{
	struct rfork_order order;
	struct rfork_packet in = { .data = &order, .size = sizeof order };
	struct rfork_packet out = { .data = &pid, .size = sizeof pid };
	int from;

	EQUAL(claim(sibling(), &from), 0);
	EQUAL(rfork_wire_receive(from, &in, 0), 1);
	EQUAL(rfork_wire_send(from, &out, 0), 0);
	EQUAL(claim(sibling(), NULL), 0);	/* the monitor drops what it had */
}

static void answers_with_others(void)
{
	answer_with(common->victim);
	answer_with(getppid());
	answer_with(getpid());
	if (isolated)
		answer_with(-1);
	wait_for_the_end();
}

static void claims_others(void)
{
	const pid_t numbers[] = { common->victim, getppid(), getpid(), 0, isolated ? -1 : 0 };

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		common->errors[i] = claim(numbers[i], NULL);
	EQUAL(claim(sibling(), NULL), 0);
	wait_for_the_end();
}

/* So many descriptors, the last of which it closes itself. */
static void send_many(int count, int last)
{
	union {
		char bytes[CMSG_SPACE(MOST_FDS * sizeof(int))];
		struct cmsghdr align;
	} control = { .bytes = { 0 } };
	struct rfork_notice notice = { .type = 77 };
	struct iovec part = { &notice, sizeof notice };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = control.bytes, .msg_controllen = CMSG_SPACE((size_t)count * sizeof(int)),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
	for (int i = 0; i < count; i++)
		memcpy(CMSG_DATA(header) + (size_t)i * sizeof(int), i == count - 1 ? &last : &(int){ 1 }, sizeof(int));
	CHECK(syscall(SYS_sendmsg, control_socket(), &message, 0) == sizeof notice);	/* musl has less room */
	close(last);
}

static void sends_nonsense(void)
{
	char bytes[4096] = { 1 };
	int control = control_socket(), one = STDERR_FILENO;

	for (unsigned int type = 0; type < 6; type++) {
		CHECK(send_notice((struct rfork_notice){ type, getpid() }, &one, 1) == 0);
		CHECK(send_notice((struct rfork_notice){ type, -1 }, NULL, 0) == 0);
	}
	for (size_t size = 0; size <= 12; size++)
		CHECK(send(control, bytes, size, 0) == (ssize_t)size);
	CHECK(send(control, bytes, sizeof bytes, 0) == sizeof bytes);
	CHECK(send_notice((struct rfork_notice){ RFORK_NOTICE_CHECKPOINT, sibling() }, (int[]){ one, one }, 2) == 0);
	send_many(1, lingering());
	send_many(MOST_FDS, lingering());
	wait_for_the_end();
}

static int any_of(const int *values, int count)
{
	return values[rand() % count];
}

/* Answers what the monitor may have ordered, with any number and perhaps a descriptor. */
static void answer_at_random(int from, const int *numbers, int count)
{
	char bytes[sizeof(struct rfork_order)];
	pid_t pid = any_of(numbers, count);
	struct rfork_packet in = { .data = bytes, .size = sizeof bytes };
	struct rfork_packet out = {
		.data = &pid, .size = rand() % 4 ? sizeof pid : 1, .fds = { STDERR_FILENO }, .fd_count = rand() % 2,
	};

	if (rfork_wire_receive(from, &in, MSG_DONTWAIT) == 1)
		rfork_wire_discard_all(&in);
	rfork_wire_send(from, &out, MSG_DONTWAIT);
}

/* Anything that has the form of a notice, and answers to what follows from it. */
static void says_anything(void)
{
	int numbers[] = { 0, common->victim, getppid(), getpid(), sibling(), sibling(), isolated ? -1 : 0 };
	const int count = sizeof numbers / sizeof *numbers;
	int orders[2] = { -1, -1 }, replies[2], held = -1;

	srand((unsigned int)now_ms());
	for (int i = few_or_all(300, 3000); i; i--) {
		int type = rand() % 4;

		if (rand() % 8 == 0) {
			kill(numbers[4], SIGKILL);
			numbers[4] = sibling();
		}
		rfork_wire_close(&held);
		held = orders[1];	/* so that some holders have one that is open, and does not answer */
		EQUAL(rfork_wire_pair(rand() % 8 ? SOCK_STREAM : SOCK_DGRAM, orders), 0);
		EQUAL(rfork_wire_pair(SOCK_STREAM, replies), 0);
		send_notice((struct rfork_notice){ (uint32_t)type, any_of(numbers, count) }, (int[]){ orders[0], replies[1] }, rand() % 3);
		answer_at_random(orders[1], numbers, count);
		rfork_wire_close(&orders[0]);
		rfork_wire_close(&replies[0]);
		rfork_wire_close(&replies[1]);
	}
	wait_for_the_end();
}

static void floods(void)
{
	struct rfork_notice notice = { .type = RFORK_NOTICE_KEEPER, .pid = 1 };

	for (int i = 0; i < FLOODERS; i++)
		if (fork() == 0)
			for (;;)
				send_notice(notice, NULL, 0);
	wait_for_the_end();
}

/* The tracer never waits for what it traces, so wait(2) of the monitor tells nothing of its end. */
static void traces_its_holder(void)
{
	pid_t holder = sibling();

	if (fork() == 0) {
		CHECK(ptrace(PTRACE_ATTACH, holder, NULL, NULL) == 0);
		common->go = 1;
		for (;;)
			pause();
	}
	EVENTUALLY(common->go);
	EQUAL(claim(holder, NULL), 0);
	EQUAL(claim(sibling(), NULL), 0);
	wait_for_the_end();
}

static int open_in(pid_t pid)
{
	char path[32];
	DIR *folder;
	int count = 0;

	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	folder = opendir(path);
	CHECK(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static void answers_with_descriptors(void)
{
	int fds[2] = { 1, 2 };

	for (int i = 0; i < 20; i++) {
		struct rfork_order order;
		pid_t pid = sibling();
		struct rfork_packet in = { .data = &order, .size = sizeof order };
		struct rfork_packet out = { .data = &pid, .size = sizeof pid, .fds = { fds[0], fds[1] }, .fd_count = 2 };
		int from;

		EQUAL(claim(sibling(), &from), 0);
		EQUAL(rfork_wire_receive(from, &in, 0), 1);
		close(in.fds[0]);
		EQUAL(rfork_wire_send(from, &out, 0), 0);
		close(from);
	}
	EQUAL(claim(sibling(), NULL), 0);
	wait_for_the_end();
}

/* A monitor as root, its instance as another user. */
static int create(void (*attack)(void))
{
	struct rfork_options options = { .backend = RFORK_BACKEND_USER, .flags = RFORK_ON_STATUS };
	pid_t pid;
	int rfd;

	memset(common->errors, 0, sizeof common->errors);
	common->done = common->go = 0;
	pid = fork();
	CHECK(pid >= 0);
	while (pid == 0)
		pause();
	common->victim = pid;
	pid = rfork_create(&options, &rfd);
	CHECK(pid >= 0);
	if (pid == 0) {
		if (rfork_generation()) {
			CHECK(rfork_checkpoint() >= 0);
			wait_for_the_end();
		}
		become_user(own_user());
		CHECK(prctl(PR_SET_DUMPABLE, 1) == 0);	/* as after execve(2) */
		attack();
	}
	common->monitor = pid;
	return rfd;
}

/* The instance is the first one still, the monitor answers and obeys, and the victim is alive. */
static void finish(int rfd)
{
	struct rfork_event event;
	struct rfork_info info;
	int status;

	EQUAL(rfork_query(rfd, &info), 0);
	EQUAL(info.generation, 0);
	CHECK(info.pid > 0);
	EQUAL(waitpid(common->victim, &status, WNOHANG), 0);
	EQUAL(rfork_stop(rfd, SIGKILL), 0);
	do
		EQUAL(rfork_next_event(rfd, &event), 1);
	while (event.type != RFORK_EV_END);
	EQUAL(event.reason, RFORK_END_STOP);
	close(rfd);
	EQUAL(waitpid(common->victim, &status, WNOHANG), 0);
	CHECK(kill(common->victim, SIGKILL) == 0);
	EQUAL(waitpid(common->victim, &status, 0), common->victim);
}

static void survive(void (*attack)(void))
{
	int rfd = create(attack);

	EVENTUALLY(common->done);
	finish(rfd);
}

static void refuse_claims(void)
{
	int rfd = create(claims_others);

	EVENTUALLY(common->done);
	for (int i = 0; i < 5; i++)
		EQUAL(common->errors[i], -ECHILD);
	finish(rfd);
}

static void keep_nothing(void (*attack)(void))
{
	int rfd = create(attack);
	struct rfork_info info;

	EVENTUALLY(common->done);
	EQUAL(rfork_query(rfd, &info), 0);	/* what was sent before is heard before, but for a part */
	EVENTUALLY(open_in(common->monitor) < 24);
	finish(rfd);
}

/* Its end of the socket of no use to anybody, if the next instance had the same. */
static void spoils_its_socket(void)
{
	CHECK(shutdown(control_socket(), SHUT_RDWR) == 0);
	wait_for_the_end();
}

/* How many children it has that do more than keep memory. */
static int count_children(pid_t parent)
{
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	int count = 0;

	CHECK(proc);
	while ((entry = readdir(proc))) {
		pid_t pid = atoi(entry->d_name);
		char path[64];

		snprintf(path, sizeof path, "/proc/%d/comm", pid);
		count += pid > 0 && status_number(pid, "PPid") == parent && strcmp(read_text(path), "rfork-memory\n");
	}
	closedir(proc);
	return count;
}

/* The next instance, which was waiting by then, can move its restart point as the first one could. */
static void next_can_checkpoint(void)
{
	int rfd = create(spoils_its_socket);
	struct rfork_info info;

	EVENTUALLY(common->done);
	EVENTUALLY(count_children(common->monitor) == 2);
	CHECK(rfork_query(rfd, &info) == 0 && kill(info.pid, SIGSEGV) == 0);
	next_event(rfd, RFORK_EV_RESTART);
	next_event(rfd, RFORK_EV_CHECKPOINT);
	stop_group(rfd);
	close(rfd);
	CHECK(kill(common->victim, SIGKILL) == 0);
	EQUAL(waitpid(common->victim, NULL, 0), common->victim);
}

static void attacks(void)
{
	refuse_claims();
	survive(answers_with_others);
	survive(sends_nonsense);
	survive(says_anything);
	survive(floods);
	survive(traces_its_holder);
}

static int in_namespace(void *unused)
{
	(void)unused;
	isolated = 1;
	attacks();
	_exit(0);
}

int main(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	int status;
	pid_t pid;

	need(RFORK_CAN_PROTECT_IMAGE, "POSIX does not protect a process from others of its user");
	if (rfork_backend() == RFORK_BACKEND_KERNEL)
		SKIP("it has no monitor");
	need_root("an instance of another user");
	common = shared(sizeof *common);
	keep_nothing(answers_with_descriptors);
	next_can_checkpoint();
	pid = clone(in_namespace, stack + sizeof stack, CLONE_NEWPID | SIGCHLD, NULL);
	if (pid < 0) {			/* Linux before 2.6.24 */
		attacks();
		return 0;
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
