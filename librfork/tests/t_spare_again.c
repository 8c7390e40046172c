/* SPDX-License-Identifier: MIT */
/* A group whose spare was refused, by a limit or for lack of memory, gets one when that is over, without a restart between. */
#include "system.h"

static void run(void)
{
	struct rfork_options options = options_for_many();
	pid_t other;
	int rfd;

	become_user(own_user());
	other = fork();
	CHECK(other >= 0);
	while (other == 0)
		pause();
	limit_tasks(4);	/* us, the other, the instance and its template */
	create_waiting(&options, &rfd);
	pause_ms(200);	/* no event reports the refusal: usually it is over by then */
	EQUAL(count_templates(), 1);
	kill(other, SIGKILL);
	CHECK(waitpid(other, NULL, 0) == other);
	EVENTUALLY(count_templates() == 2);
	stop_group(rfd);
}

int main(void)
{
	need_root("a user of its own");
	if (!is_kernel_level())
		SKIP("the user level counts other processes");
	apart(run);
	return 0;
}
