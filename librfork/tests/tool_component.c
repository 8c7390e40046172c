/* SPDX-License-Identifier: MIT */
/*
 * A component for the tests of rfork-run: does what its arguments say, one after the other.
 *
 *   notify:TEXT checkpoint no-checkpoint (which EPERM refuses) crash abort restart exit:N wait ignore-term say:TEXT touch:PATH
 *   beat:MS (for ever) below:N (skip the next unless the generation is below N) listen:PORT
 *   sleep:MS wait-file:PATH hold-signal:N await-signal:N (block it; wait until it has come)
 *   ready-fd:N (a newline on it, and close it) serve (on descriptor 3: the generation to whoever connects, for ever)
 *   connect:PORT (print what is read) open-read:PATH open-write:PATH (print how it went) may:CAPABILITY (whether it has it)
 *   grandchild (in a session of its own; prints its PID) privileges (whether it could gain any)
 *   fill:KIB (write so much to standard output) free-port (print one) receive:SOCKET (print datagrams for ever, one a line) env:NAME
 *   barrier (waits until the runner has read what was said) stranger:PID (that runner gets READY=1 of a process that is gone)
 *   term:PID (SIGTERM to it) flood (never stops sending, from 25 processes)
 *   eat (memory, for ever) deep:N (wait below so many calls of qsort(3))
 *   spin (for ever, without a system call)
 *   linger (sends a descriptor that takes long to close) group:N (join that process group, or say why not; 0: one of its own)
 *   store:NAME (a file without a name in which that stands) unstore:NAME store-again:NAME (descriptor 4) stored:N (print what stands in descriptor N)
 */
#include "linger.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

/* With a descriptor, or -1. */
static void notify_with(const char *text, int fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *name = getenv("NOTIFY_SOCKET");
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr header;
	} rights;
	struct iovec part = { (char *)(uintptr_t)text, strlen(text) };
	struct msghdr message = { .msg_name = &address, .msg_iov = &part, .msg_iovlen = 1 };
	int socket_fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	CHECK(socket_fd >= 0 && name && strlen(name) < sizeof address.sun_path);
	memcpy(address.sun_path, name, strlen(name));
	if (*name == '@')
		address.sun_path[0] = '\0';
	message.msg_namelen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
	if (fd >= 0) {
		message.msg_control = rights.bytes;
		message.msg_controllen = sizeof rights.bytes;
		rights.header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&rights.header), &fd, sizeof fd);
	}
	CHECK(sendmsg(socket_fd, &message, 0) > 0);
	close(socket_fd);
}

static void linger(void)
{
	int fd = lingering();

	notify_with("X=1", fd);
	close(fd);
}

static void notify(const char *text)
{
	notify_with(text, -1);
}

/* BARRIER=1 of sd_notify(3): whoever has read the message closes the descriptor. */
static void barrier(void)
{
	int ends[2];
	char c;

	CHECK(pipe(ends) == 0);
	notify_with("BARRIER=1", ends[1]);
	close(ends[1]);
	CHECK(read(ends[0], &c, 1) == 0);
	close(ends[0]);
}

/* Speaks from a process that has been reaped before the runner, which is stopped meanwhile, can look at it. */
static void stranger(pid_t runner)
{
	pid_t pid;

	CHECK(kill(runner, SIGSTOP) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		notify("READY=1\nSTATUS=said by a stranger\nSTOPPING=1");
		_exit(0);
	}
	CHECK(waitpid(pid, NULL, 0) == pid);
	CHECK(kill(runner, SIGCONT) == 0);
}

static _Noreturn void flood(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	CHECK(fd >= 0 && strlen(getenv("NOTIFY_SOCKET")) < sizeof address.sun_path);
	strcpy(address.sun_path, getenv("NOTIFY_SOCKET"));
	CHECK(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
	for (int i = 0; i < 24; i++)
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			break;
		}
	while (send(fd, "EXTEND_TIMEOUT_USEC=1", 21, 0) > 0)
		;
	_exit(1);
}

static void store(const char *name)
{
	char text[80];
	int fd = open("stored", O_RDWR | O_CREAT | O_EXCL, 0600);

	CHECK(fd >= 0 && unlink("stored") == 0 && write(fd, name, strlen(name)) == (ssize_t)strlen(name));
	snprintf(text, sizeof text, "FDSTORE=1\nFDNAME=%s", name);
	notify_with(text, fd);
	close(fd);
}

/* Descriptor 4, which came from the store, once more. */
static void store_again(const char *name)
{
	char text[80];

	snprintf(text, sizeof text, "FDSTORE=1\nFDNAME=%s", name);
	notify_with(text, 4);
}

static void unstore(const char *name)
{
	char text[80];

	snprintf(text, sizeof text, "FDSTOREREMOVE=1\nFDNAME=%s", name);
	notify(text);
}

static void stored(int fd)
{
	char text[80];
	ssize_t got = pread(fd, text, sizeof text, 0);

	dprintf(STDOUT_FILENO, "%d=%.*s\n", fd, got > 0 ? (int)got : 0, text);
}

static void listen_on(in_port_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof address;
	int server = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	CHECK(server >= 0);
	setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	address.sin_port = htons(port);
	CHECK(bind(server, (struct sockaddr *)&address, size) == 0);
	if (port) {
		CHECK(listen(server, 8) == 0);
		return;
	}
	CHECK(getsockname(server, (struct sockaddr *)&address, &size) == 0);
	printf("%u\n", (unsigned int)ntohs(address.sin_port));
	close(server);
}

static _Noreturn void receive(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char text[256];
	ssize_t got;
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	CHECK(fd >= 0 && strlen(path) < sizeof address.sun_path);
	strcpy(address.sun_path, path);
	CHECK(bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
	while ((got = recv(fd, text, sizeof text, 0)) >= 0)
		dprintf(STDOUT_FILENO, "%.*s\n", (int)got, text);
	_exit(1);
}

static void fill(int kib)
{
	char block[1024];

	memset(block, '.', sizeof block);
	for (int i = 0; i < kib; i++)
		CHECK(write(STDOUT_FILENO, block, sizeof block) == (ssize_t)sizeof block);
}

static void touch(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0644);

	CHECK(fd >= 0);
	close(fd);
}

static const char *after_colon(const char *action)
{
	const char *colon = strchr(action, ':');

	return colon ? colon + 1 : "";
}

static int is(const char *action, const char *name)
{
	size_t length = strcspn(action, ":");

	return strlen(name) == length && !strncmp(action, name, length);
}

static void beat(long ms)
{
	for (;;) {
		notify("WATCHDOG=1");
		pause_ms(ms);
	}
}

static void ready_fd(int fd)
{
	CHECK(write(fd, "\n", 1) == 1);
	close(fd);
}

static _Noreturn void serve(void)
{
	CHECK(getenv("LISTEN_PID") && atoi(getenv("LISTEN_PID")) == getpid());
	for (;;) {
		int client = accept(3, NULL, NULL);

		CHECK(client >= 0);
		dprintf(client, "%d\n", (int)rfork_generation());
		close(client);
	}
}

static void connect_to(in_port_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char text[64];
	ssize_t got;

	address.sin_port = htons(port);
	CHECK(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
	while ((got = read(fd, text, sizeof text)) > 0)
		CHECK(write(STDOUT_FILENO, text, (size_t)got) == got);
}

static void try_open(const char *path, int flags)
{
	int fd = open(path, flags);

	dprintf(STDOUT_FILENO, "%s %s: %s\n", flags == O_RDONLY ? "read" : "write", path, fd < 0 ? strerror(errno) : "granted");
	if (fd >= 0)
		close(fd);
}

static void may(int capability)
{
	struct { uint32_t version; int pid; } header = { 0x20080522, 0 };
	struct { uint32_t effective, permitted, inheritable; } data[2] = { 0 };

	/* An old kernel says which version it knows. */
	CHECK(syscall(SYS_capget, &header, data) == 0 || syscall(SYS_capget, &header, data) == 0);
	dprintf(STDOUT_FILENO, "capability %d: %s\n", capability,
		data[capability / 32].effective >> capability % 32 & 1 ? "yes" : "no");
}

static void grandchild(void)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		setsid();
		for (;;)
			pause();
	}
	dprintf(STDOUT_FILENO, "grandchild %d\n", (int)pid);
}

static void hold_signal(int number)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, number);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
}

static void await_signal(int number)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, number);
	EQUAL(sigwaitinfo(&set, NULL), number);
}

static int depth;

static void deep(int levels);

static int compare(const void *a, const void *b)
{
	deep(depth - 1);
	return *(const char *)a - *(const char *)b;
}

static void deep(int levels)
{
	char two[] = "ba";

	while (!levels)
		pause();
	depth = levels;
	qsort(two, 2, 1, compare);
}

/* How many of the next actions are to be left out. */
static int act(const char *action)
{
	const char *value = after_colon(action);

	if (is(action, "notify")) notify(value);
	else if (is(action, "store")) store(value);
	else if (is(action, "linger")) linger();
	else if (is(action, "barrier")) barrier();
	else if (is(action, "stranger")) stranger(atoi(value));
	else if (is(action, "flood")) flood();
	else if (is(action, "group")) { if (setpgid(0, atoi(value)) < 0) perror("setpgid"); }
	else if (is(action, "store-again")) store_again(value);
	else if (is(action, "unstore")) unstore(value);
	else if (is(action, "stored")) stored(atoi(value));
	else if (is(action, "checkpoint")) CHECK(rfork_checkpoint() >= 0);
	else if (is(action, "no-checkpoint")) EQUAL(rfork_checkpoint(), -EPERM);
	else if (is(action, "crash")) kill(getpid(), SIGSEGV);
	else if (is(action, "abort")) abort();
	else if (is(action, "restart")) rfork_restart();
	else if (is(action, "exit")) _exit(atoi(value));
	else if (is(action, "wait")) for (;;) pause();
	else if (is(action, "deep")) deep(atoi(value));
	else if (is(action, "eat")) for (;;) memset(mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1, 1 << 20);
	else if (is(action, "can")) _exit(strcmp(value, "keep-spare") || !can(RFORK_CAN_KEEP_SPARE));
	else if (is(action, "spin")) for (;;) __asm__ volatile("");
	else if (is(action, "ignore-term")) signal(SIGTERM, SIG_IGN);
	else if (is(action, "say")) dprintf(STDOUT_FILENO, "%s\n", value);
	else if (is(action, "fill")) fill(atoi(value));
	else if (is(action, "touch")) touch(value);
	else if (is(action, "ready-fd")) ready_fd(atoi(value));
	else if (is(action, "sleep")) pause_ms(atoi(value));
	else if (is(action, "term")) CHECK(kill(atoi(value), SIGTERM) == 0);
	else if (is(action, "hold-signal")) hold_signal(atoi(value));
	else if (is(action, "await-signal")) await_signal(atoi(value));
	else if (is(action, "wait-file")) while (access(value, F_OK) < 0) pause_ms(20);
	else if (is(action, "serve")) serve();
	else if (is(action, "connect")) connect_to((in_port_t)atoi(value));
	else if (is(action, "open-read")) try_open(value, O_RDONLY);
	else if (is(action, "open-write")) try_open(value, O_WRONLY);
	else if (is(action, "may")) may(atoi(value));
	else if (is(action, "grandchild")) grandchild();
	else if (is(action, "privileges")) dprintf(STDOUT_FILENO, "new privileges: %s\n", prctl(39, 0, 0, 0, 0) == 1 ? "no" : "yes");
	else if (is(action, "beat")) beat(atoi(value));
	else if (is(action, "below")) return rfork_generation() >= atoi(value);
	else if (is(action, "listen")) listen_on((in_port_t)atoi(value));
	else if (is(action, "free-port")) listen_on(0);
	else if (is(action, "receive")) receive(value);
	else if (is(action, "env")) dprintf(STDOUT_FILENO, "%s=%s\n", value, getenv(value) ? getenv(value) : "(none)");
	else {
		fprintf(stderr, "tool_component: what is '%s'?\n", action);
		_exit(100);
	}
	return 0;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		i += act(argv[i]);
	return 0;
}
