/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ok_exec.c - the program executes itself: the same ids, and nothing of what they were.  When the
 * new one is seen from is not certain.
 *
 * expect: nothing
 */
#include "common.h"

int main(int argc, char **argv)
{
	if (argc == 1) {
		wait_for_go();
		BSCOPE_NEW(slot, 1);
		BSCOPE_DROP(slot, 1);
		BSCOPE_NEW(slot, 2);
		BSCOPE_BORROW_MUT(slot, 2, 100);
		BSCOPE_NEW(slot, 3);
		BSCOPE_RETAIN(slot, 3);
		BSCOPE_MOVE(slot, 3, 200);
		BSCOPE_REGION_ENTER(job, 4);
		BSCOPE_NEW(slot, 5);
		bscope_flush();
		execl("/proc/self/exe", argv[0], "again", (char *)NULL);
		return 1;
	}
	/* Their news are not marked here, and what is marked may not be seen yet. */
	BSCOPE_DROP(slot, 1);
	BSCOPE_BORROW_MUT(slot, 2, 300);
	BSCOPE_USE(slot, 3, 300);
	BSCOPE_REGION_EXIT(job, 4);
	BSCOPE_NEW(slot, 6);
	BSCOPE_RETAIN(slot, 6);
	usleep(50000);
	BSCOPE_NEW(slot, 1);
	BSCOPE_DROP(slot, 1);
	BSCOPE_UNBORROW(slot, 2, 300);
	BSCOPE_DROP(slot, 2);
	BSCOPE_RELEASE(slot, 3);
	BSCOPE_DROP(slot, 3);
	BSCOPE_RELEASE(slot, 6);
	BSCOPE_RELEASE(slot, 6);
	BSCOPE_DROP(slot, 6);
	return 0;
}
