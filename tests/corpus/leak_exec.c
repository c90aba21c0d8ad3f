/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * leak_exec.c - a process takes what its dropped session owned with it into another program.
 *
 * expect: leak shell at=@logout since=@login
 */
#include "common.h"

static int session, shell;

int main(int argc, char **argv)
{
	if (argc > 1)
		return 0;
	wait_for_go();
	BSCOPE_NEW(session, &session);
	BSCOPE_NEW(shell, &shell);
	BSCOPE_MOVE(shell, &shell, &session); /* @login */
	BSCOPE_DROP(session, &session);	      /* @logout */
	bscope_flush();
	execl("/proc/self/exe", argv[0], "again", (char *)NULL);
	return 1;
}
