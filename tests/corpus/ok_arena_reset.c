/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ok_arena_reset.c - an arena is emptied and says nothing about what was in it.  New objects at the
 * same addresses have none of the borrows, references and owners of the old ones.
 *
 * expect: nothing
 */
#include "common.h"

static int arena[4], owner, reader, stranger;

int main(void)
{
	wait_for_go();
	for (int i = 0; i < 4; i++) {
		BSCOPE_NEW(item, &arena[i]);
		BSCOPE_RETAIN(item, &arena[i]);
		BSCOPE_BORROW_MUT(item, &arena[i], &reader);
		BSCOPE_MOVE(item, &arena[i], &owner);
	}
	for (int i = 0; i < 4; i++) {
		BSCOPE_NEW(item, &arena[i]);
		BSCOPE_USE(item, &arena[i], &stranger);
		BSCOPE_BORROW(item, &arena[i], &stranger);
		BSCOPE_UNBORROW(item, &arena[i], &stranger);
		BSCOPE_RELEASE(item, &arena[i]);
		BSCOPE_DROP(item, &arena[i]);
	}
	return 0;
}
