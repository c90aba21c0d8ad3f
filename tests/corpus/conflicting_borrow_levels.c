/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * conflicting_borrow_levels.c - borrows of one holder end in the order opposite to that in which
 * they began: what was exclusive inside is not so any more, what is exclusive outside is so still.
 *
 * expect: conflicting-borrow cell at=@second since=@outside
 */
#include "common.h"

static int cell, me, other;

int main(void)
{
	wait_for_go();
	BSCOPE_NEW(cell, &cell);
	/* Exclusive inside. */
	BSCOPE_BORROW(cell, &cell, &me);
	BSCOPE_BORROW_MUT(cell, &cell, &me);
	BSCOPE_UNBORROW(cell, &cell, &me);
	BSCOPE_BORROW(cell, &cell, &other);
	BSCOPE_UNBORROW(cell, &cell, &other);
	BSCOPE_UNBORROW(cell, &cell, &me);
	/* Exclusive outside. */
	BSCOPE_BORROW_MUT(cell, &cell, &me); /* @outside */
	BSCOPE_BORROW(cell, &cell, &me);
	BSCOPE_UNBORROW(cell, &cell, &me);
	BSCOPE_BORROW(cell, &cell, &other); /* @second */
	BSCOPE_UNBORROW(cell, &cell, &other);
	BSCOPE_UNBORROW(cell, &cell, &me);
	BSCOPE_DROP(cell, &cell);
	return 0;
}
