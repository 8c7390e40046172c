/* SPDX-License-Identifier: MIT */
#include "run.h"

/* As records have it: the Linux user level by its older name. */
static const char *backend_name(enum rfork_backend backend)
{
	switch (backend) {
	case RFORK_BACKEND_KERNEL: return "kernel";
	case RFORK_BACKEND_POSIX: return "posix";
	default: return "user";
	}
}

int main(int argc, char **argv)
{
	static struct run_config config;
	static struct runner runner = { .config = &config, .rfd = -1, .probe = -1, .exec.fd = -1 };
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	run_parse(&config, argc, argv);
	if (!config.stack)
		run_oom_last();
	if (config.keep)
		return run_keep(&config);
	if (config.stack)
		return run_stack(&config);
	run_usual_signals();
	run_state_open(&config);
	run_previous_wait(&config);
	run_cgroup_open(&config);
	run_log_open(&runner.log, &config);
	runner.notify = run_notify_open(&config);
	run_ready_check(&config);
	run_listen_open(&config);
	run_ready_fd_open(&config);
	run_exec_open(&config);
	run_sweep_open();
	run_store_open(&config);
	run_output_open(&config, &runner.capture);
	run_words_open(&config);
	/* Whoever reads our standard error may go; the component stays. */
	sigaction(SIGPIPE, &ignore, &runner.origin.pipe);
	rfork_bucket_init(&runner.bucket, config.rfork.burst, config.rfork.window_ms);
	if (config.rfork.backend == RFORK_BACKEND_AUTO)
		config.rfork.backend = rfork_backend();
	runner.backend = backend_name(config.rfork.backend);
	run_loop(&runner);
	return runner.exit;
}
