/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * double_drop_fork.c - a child and its parent make the same mistake, each with its own message.
 *
 * expect: double-drop msg at=@second since=@first count=2 thread=other
 */
#include <sys/wait.h>

#include "common.h"

static char message[32];

static void send_message(void)
{
	BSCOPE_NEW(msg, message);
	BSCOPE_DROP(msg, message); /* @first */
	BSCOPE_DROP(msg, message); /* @second */
}

int main(void)
{
	pid_t pid;

	wait_for_go();
	pid = fork();
	if (!pid) {
		send_message();
		return 0;
	}
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		return 1;
	apart();
	send_message();
	return 0;
}
