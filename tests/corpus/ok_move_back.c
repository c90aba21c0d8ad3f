/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ok_move_back.c - an object goes round and comes back; it is used by its owner of the moment, by
 * those that borrow it, and before anybody said whose it is by everybody.
 *
 * expect: nothing
 */
#include "common.h"

static int item, stages[3], helper;

int main(void)
{
	wait_for_go();
	BSCOPE_NEW(item, &item);
	for (int i = 0; i < 3; i++)
		BSCOPE_USE(item, &item, &stages[i]);
	for (int i = 0; i < 9; i++) {
		int *stage = &stages[i % 3];

		/* A borrow outlasts the move and makes it legal to look. */
		BSCOPE_BORROW(item, &item, &helper);
		BSCOPE_MOVE(item, &item, stage);
		BSCOPE_USE(item, &item, stage);
		BSCOPE_USE(item, &item, &helper);
		BSCOPE_UNBORROW(item, &item, &helper);
	}
	BSCOPE_DROP(item, &item);
	/* Another one: nobody has said yet whose. */
	BSCOPE_NEW(item, &item);
	BSCOPE_USE(item, &item, &helper);
	BSCOPE_DROP(item, &item);
	return 0;
}
