/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ok_int_ids.c - descriptors, slots and workers are numbers, and the same ones: that a worker or an
 * owner has the number of some descriptor means nothing.
 *
 * expect: nothing
 */
#include "common.h"

int main(void)
{
	wait_for_go();
	for (int fd = 3; fd < 8; fd++)
		BSCOPE_NEW(fd, fd);
	for (int slot = 3; slot < 8; slot++)
		BSCOPE_NEW(slot, slot);
	BSCOPE_BORROW_MUT(slot, 3, 5); /* worker 5 */
	BSCOPE_MOVE(slot, 4, 5);       /* table 5 */
	BSCOPE_DROP(fd, 5);
	BSCOPE_USE(slot, 5, 5);
	BSCOPE_UNBORROW(slot, 3, 5);
	BSCOPE_DROP(slot, 3);
	/* The lowest free number is next. */
	BSCOPE_NEW(fd, 5);
	BSCOPE_DROP(fd, 5);
	BSCOPE_DROP(fd, -1 + 4);
	return 0;
}
