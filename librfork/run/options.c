/* SPDX-License-Identifier: MIT */
/* The command line. */
#include "run.h"
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"rfork-run [options] -- PROGRAM [ARG...]\n"
	"  --name NAME                      component's name (PROGRAM's base name)\n"
	"  --state DIR                      where events, lock and notify are kept (none)\n"
	"  --poke SOCKET                    datagram socket told of each event (none)\n"
	"  --backend auto|kernel|linux|posix  backend of rfork (auto)\n"
	"  --on signal,status,exit | none   restart on these too (none)\n"
	"  --no-spare                       slower, for a task and its memory less (RFORK_NO_SPARE)\n"
	"  --no-checkpoint                  PROGRAM cannot move its restart point (RFORK_NO_CHECKPOINT)\n"
	"  --burst N --window-ms MS         restart intensity (5 in 10000)\n"
	"  --probation-ms MS                time within which a crash poisons an image (0: off)\n"
	"  --ready none|notify|file:PATH|port:N|fd:N\n"
	"  --ready-ms MS                    time to get ready (0: for ever)\n"
	"  --heartbeat-ms MS                WATCHDOG=1 at least this often (0: off)\n"
	"  --heartbeat-signal NAME          to what hangs, and SIGKILL --stop-ms later (SIGKILL at once)\n"
	"  --stop-ms MS                     between SIGTERM and SIGKILL (5000)\n"
	"  --extend-max-ms MS               how much longer EXTEND_TIMEOUT_USEC= may make any of these, in all (300000)\n"
	"  --user NAME --directory DIR --env K=V --rlimit NAME=N --output FILE\n"
	"  --env-fd N                       K=V, each with a NUL after it, from this descriptor (none)\n"
	"  --output-rate BYTES              of it, a second (262144, on a line 2048)\n"
	"  --listen tcp:[ADDRESS:]PORT | udp:... | unix:PATH | unixgram:PATH   sockets every instance has\n"
	"  --store N                        descriptors that an instance may store for the next one (0)\n"
	"  --group NAME                     one more group (the user's)\n"
	"  --capabilities MASK              no others, hexadecimal (root's)\n"
	"  --no-new-privileges              nothing set-uid, no file capabilities\n"
	"  --read PATH --write PATH         no other files (all)\n"
	"  --hide PATH --read-only PATH     not there for it, or not to be changed\n"
	"  --private-tmp                    a /tmp of its own, in memory\n"
	"  --root DIR                       its root directory\n"
	"  --cgroup DIR --cgroup-set FILE=VALUE\n"
	"rfork-run --keep -- PROGRAM [ARG...]    start PROGRAM anew whenever it fails: no component, a supervisor\n"
	"rfork-run --stack DIR -- PID            read a core dump, keep who called whom (kernel.core_pattern)\n";

static uint32_t number(const char *option, const char *text, uint32_t least, uint32_t most)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || value < least || value > most)
		run_misuse("--%s: '%s' is not a number from %u to %u", option, text, least, most);
	return (uint32_t)value;
}

static bool name_fits(const char *name)
{
	size_t length = strlen(name);

	return length && length <= RUN_NAME_MAX && name[0] != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

static void set_name(struct run_config *config, const char *name)
{
	if (!name_fits(name))
		run_misuse("--name: '%s' is not lower-case letters, digits and '-', at most %d", name, RUN_NAME_MAX);
	strcpy(config->name, name);
}

static void default_name(struct run_config *config)
{
	const char *slash = strrchr(config->argv[0], '/');
	const char *base = slash ? slash + 1 : config->argv[0];
	size_t length = 0;

	for (; *base && length < RUN_NAME_MAX; base++) {
		char c = *base >= 'A' && *base <= 'Z' ? (char)(*base - 'A' + 'a') : *base;

		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-", c) || (!length && c == '-'))
			continue;
		config->name[length++] = c;
	}
	if (!length)
		strcpy(config->name, "component");
}

static void set_backend(struct run_config *config, const char *text)
{
	if (!strcmp(text, "auto"))
		config->rfork.backend = RFORK_BACKEND_AUTO;
	else if (!strcmp(text, "linux") || !strcmp(text, "user"))
		config->rfork.backend = RFORK_BACKEND_LINUX;
	else if (!strcmp(text, "posix"))
		config->rfork.backend = RFORK_BACKEND_POSIX;
	else if (!strcmp(text, "kernel"))
		config->rfork.backend = RFORK_BACKEND_KERNEL;
	else
		run_misuse("--backend: '%s' is not auto, kernel, linux or posix", text);
}

static void set_on(struct run_config *config, char *text)
{
	config->rfork.flags &= ~(uint64_t)(RFORK_ON_SIGNAL | RFORK_ON_STATUS);
	config->on_exit = false;
	if (!strcmp(text, "none"))
		return;
	for (char *word = strtok(text, ","); word; word = strtok(NULL, ",")) {
		if (!strcmp(word, "signal"))
			config->rfork.flags |= RFORK_ON_SIGNAL;
		else if (!strcmp(word, "status"))
			config->rfork.flags |= RFORK_ON_STATUS;
		else if (!strcmp(word, "exit"))
			config->on_exit = true;
		else if (strcmp(word, "request") && strcmp(word, "error"))
			run_misuse("--on: '%s' is not signal, status or exit (request and error always restart)", word);
	}
}

static void set_heartbeat_signal(struct run_config *config, const char *name)
{
	config->heartbeat_signal = run_signal_number(name);
	if (!config->heartbeat_signal || config->heartbeat_signal == SIGKILL)
		run_misuse("--heartbeat-signal: '%s' is not a signal that a program can catch, as SIGABRT", name);
}

static void set_ready(struct run_config *config, const char *text)
{
	if (!strcmp(text, "none")) {
		config->ready = READY_NONE;
	} else if (!strcmp(text, "notify")) {
		config->ready = READY_NOTIFY;
	} else if (!strncmp(text, "file:", 5) && text[5]) {
		config->ready = READY_FILE;
		config->ready_path = text + 5;
	} else if (!strncmp(text, "port:", 5)) {
		config->ready = READY_PORT;
		config->ready_port = (uint16_t)number("ready port:N", text + 5, 1, 65535);
	} else if (!strncmp(text, "fd:", 3)) {
		config->ready = READY_FD;
		config->ready_fd = (int)number("ready fd:N", text + 3, 3, 15);
	} else {
		run_misuse("--ready: '%s' is not none, notify, file:PATH, port:N or fd:N", text);
	}
}

static void add_limit(struct run_config *config, const char *text)
{
	static const struct { const char *name; int resource; } known[] = {
		{ "as", RLIMIT_AS }, { "core", RLIMIT_CORE }, { "cpu", RLIMIT_CPU }, { "data", RLIMIT_DATA },
		{ "fsize", RLIMIT_FSIZE }, { "memlock", RLIMIT_MEMLOCK }, { "msgqueue", RLIMIT_MSGQUEUE },
		{ "nice", RLIMIT_NICE }, { "nofile", RLIMIT_NOFILE }, { "nproc", RLIMIT_NPROC },
		{ "rtprio", RLIMIT_RTPRIO }, { "sigpending", RLIMIT_SIGPENDING }, { "stack", RLIMIT_STACK },
	};
	size_t length = strcspn(text, "=");
	struct run_limit *limit = &config->limits[config->limit_count];
	char *end;

	if (config->limit_count == RUN_MAX_SETTINGS)
		run_misuse("--rlimit: more than %d", RUN_MAX_SETTINGS);
	limit->resource = -1;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strlen(known[i].name) == length && !strncmp(known[i].name, text, length))
			limit->resource = known[i].resource;
	if (limit->resource < 0)
		run_misuse("--rlimit: '%s' names no limit (as, core, cpu, data, fsize, memlock, msgqueue, nice, nofile, "
			   "nproc, rtprio, sigpending, stack)", text);
	errno = 0;
	if (text[length] != '=' || text[length + 1] < '0' || text[length + 1] > '9')
		run_misuse("--rlimit: '%s' is not NAME=N", text);
	limit->value = strtoull(text + length + 1, &end, 10);
	if (errno || *end)
		run_misuse("--rlimit: '%s' is not NAME=N", text);
	config->limit_count++;
}

enum { NAME = 1, STATE, POKE, BACKEND, ON, BURST, WINDOW, PROBATION, READY, READY_MS, HEARTBEAT, STOP,
       USER, DIRECTORY, ENV, RLIMIT, OUTPUT, HELP, LISTEN, GROUP, CAPABILITIES, NO_NEW, READ, WRITE, ROOT,
       CGROUP, CGROUP_SET, OUTPUT_RATE, KEEP, HIDE, READ_ONLY, PRIVATE_TMP, STACK, STORE, NO_SPARE,
       NO_CHECKPOINT, ENV_FD, EXTEND_MAX, HEARTBEAT_SIGNAL };

static const struct option known_options[] = {
	{ "name", 1, NULL, NAME }, { "state", 1, NULL, STATE }, { "poke", 1, NULL, POKE },
	{ "backend", 1, NULL, BACKEND }, { "on", 1, NULL, ON }, { "burst", 1, NULL, BURST },
	{ "window-ms", 1, NULL, WINDOW }, { "probation-ms", 1, NULL, PROBATION }, { "ready", 1, NULL, READY },
	{ "ready-ms", 1, NULL, READY_MS }, { "heartbeat-ms", 1, NULL, HEARTBEAT }, { "stop-ms", 1, NULL, STOP },
	{ "user", 1, NULL, USER }, { "directory", 1, NULL, DIRECTORY }, { "env", 1, NULL, ENV },
	{ "rlimit", 1, NULL, RLIMIT }, { "output", 1, NULL, OUTPUT }, { "help", 0, NULL, HELP },
	{ "listen", 1, NULL, LISTEN }, { "group", 1, NULL, GROUP }, { "capabilities", 1, NULL, CAPABILITIES },
	{ "no-new-privileges", 0, NULL, NO_NEW }, { "read", 1, NULL, READ }, { "write", 1, NULL, WRITE },
	{ "root", 1, NULL, ROOT }, { "cgroup", 1, NULL, CGROUP }, { "cgroup-set", 1, NULL, CGROUP_SET },
	{ "hide", 1, NULL, HIDE }, { "read-only", 1, NULL, READ_ONLY }, { "private-tmp", 0, NULL, PRIVATE_TMP },
	{ "output-rate", 1, NULL, OUTPUT_RATE }, { "keep", 0, NULL, KEEP },
	{ "stack", 1, NULL, STACK }, { "store", 1, NULL, STORE },
	{ "no-spare", 0, NULL, NO_SPARE }, { "no-checkpoint", 0, NULL, NO_CHECKPOINT }, { "env-fd", 1, NULL, ENV_FD },
	{ "extend-max-ms", 1, NULL, EXTEND_MAX }, { "heartbeat-signal", 1, NULL, HEARTBEAT_SIGNAL },
	{ NULL, 0, NULL, 0 },
};

static void take(struct run_config *config, int option, char *value)
{
	switch (option) {
	case NAME: set_name(config, value); break;
	case STATE: config->state = value; break;
	case POKE: config->poke = value; break;
	case BACKEND: set_backend(config, value); break;
	case ON: set_on(config, value); break;
	case NO_SPARE: config->rfork.flags |= RFORK_NO_SPARE; break;
	case NO_CHECKPOINT: config->rfork.flags |= RFORK_NO_CHECKPOINT; break;
	case BURST: config->rfork.burst = number("burst", value, 1, UINT32_MAX); break;
	case WINDOW: config->rfork.window_ms = number("window-ms", value, 1, UINT32_MAX); break;
	case PROBATION: config->rfork.probation_ms = number("probation-ms", value, 0, UINT32_MAX); break;
	case READY: set_ready(config, value); break;
	case READY_MS: config->ready_ms = number("ready-ms", value, 0, UINT32_MAX); break;
	case HEARTBEAT: config->heartbeat_ms = number("heartbeat-ms", value, 0, UINT32_MAX); break;
	case HEARTBEAT_SIGNAL: set_heartbeat_signal(config, value); break;
	case STOP: config->stop_ms = number("stop-ms", value, 0, UINT32_MAX); break;
	case EXTEND_MAX: config->extend_max_ms = number("extend-max-ms", value, 0, UINT32_MAX); break;
	case USER: config->user = value; break;
	case DIRECTORY: config->directory = value; break;
	case ENV: run_add_environment(config, value); break;
	case ENV_FD: run_read_environment(config, (int)number("env-fd", value, 3, 1023)); break;
	case RLIMIT: add_limit(config, value); break;
	case OUTPUT: config->output = value; break;
	case KEEP: config->keep = true; break;
	case STACK: config->stack = value; break;
	case STORE: config->store_max = number("store", value, 0, RUN_MAX_LISTEN); break;
	case OUTPUT_RATE: config->output_rate = number("output-rate", value, 1, UINT32_MAX); break;
	case LISTEN: run_add_listen(config, value); break;
	case GROUP: run_add_group(config, value); break;
	case CAPABILITIES: run_set_capabilities(config, value); break;
	case NO_NEW: config->no_new_privileges = true; break;
	case READ: run_add_grant(config, value, false); break;
	case WRITE: run_add_grant(config, value, true); break;
	case HIDE: run_add_mount(config, value, true); break;
	case READ_ONLY: run_add_mount(config, value, false); break;
	case PRIVATE_TMP: config->private_tmp = true; break;
	case ROOT: config->root = value; break;
	case CGROUP: config->cgroup = value; break;
	case CGROUP_SET: run_add_cgroup_set(config, value); break;
	case HELP: fputs(usage, stdout); exit(RUN_DONE);
	default: run_misuse("unknown option, or one without its value");
	}
}

void run_parse(struct run_config *config, int argc, char **argv)
{
	int option;

	memset(config, 0, sizeof *config);
	config->stop_ms = 5000;
	config->extend_max_ms = 300000;
	config->rfork.exit_signal = -1;
	config->rfork.burst = RFORK_DEFAULT_BURST;
	config->rfork.window_ms = RFORK_DEFAULT_WINDOW_MS;
	opterr = 0;
	/* '+': the first word that is no option is PROGRAM, also without '--'. */
	while ((option = getopt_long(argc, argv, "+", known_options, NULL)) != -1)
		take(config, option, optarg);
	config->argv = argv + optind;
	if (!config->argv[0])
		run_misuse("PROGRAM is missing");
	if (!config->name[0])
		default_name(config);
	if (config->user && !run_find_user(config))
		run_misuse("--user: '%s' is not in /etc/passwd", config->user);
	run_find_more_groups(config);
	if (config->listen_count + config->store_max > RUN_MAX_LISTEN)
		run_misuse("--store, --listen: more than %d descriptors together", RUN_MAX_LISTEN);
	if (config->ready == READY_FILE && config->private_tmp && !strncmp(config->ready_path, "/tmp/", 5))
		run_misuse("--ready: '%s' is not seen from here with --private-tmp", config->ready_path);
	if (config->ready == READY_FD && config->store_max)
		run_misuse("--ready fd:N and --store: the stored ones may have that number");
	if (config->ready == READY_FD && config->ready_fd < 3 + (int)config->listen_count)
		run_misuse("--ready: the sockets of --listen have descriptors 3 to %u", 2 + config->listen_count);
}
