/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ok_fork.c - parent and child both have what was there at the fork, and each gives it back.
 *
 * expect: nothing
 */
#include <sys/wait.h>

#include "common.h"

static int plain, counted, borrowed, moved, dropped, child_only, reader, owner, region;

static void give_back(void)
{
	BSCOPE_DROP(thing, &plain);
	BSCOPE_RELEASE(thing, &counted);
	BSCOPE_RELEASE(thing, &counted);
	BSCOPE_DROP(thing, &counted);
	BSCOPE_UNBORROW(thing, &borrowed, &reader);
	BSCOPE_DROP(thing, &borrowed);
	BSCOPE_USE(thing, &moved, &owner);
	BSCOPE_DROP(thing, &moved);
	BSCOPE_REGION_EXIT(region, &region);
	BSCOPE_NEW(thing, &dropped);
	BSCOPE_DROP(thing, &dropped);
}

int main(void)
{
	pid_t pid;

	wait_for_go();
	BSCOPE_NEW(thing, &plain);
	BSCOPE_NEW(thing, &counted);
	BSCOPE_RETAIN(thing, &counted);
	BSCOPE_NEW(thing, &borrowed);
	BSCOPE_BORROW_MUT(thing, &borrowed, &reader);
	BSCOPE_NEW(thing, &moved);
	BSCOPE_MOVE(thing, &moved, &owner);
	BSCOPE_NEW(thing, &dropped);
	BSCOPE_DROP(thing, &dropped);
	BSCOPE_REGION_ENTER(region, &region);
	pid = fork();
	if (!pid) {
		BSCOPE_NEW(thing, &child_only);
		give_back();
		BSCOPE_DROP(thing, &child_only);
		return 0;
	}
	if (pid < 0)
		return 1;
	give_back();
	return waitpid(pid, NULL, 0) != pid;
}
