/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ok_cleanup.c - scoped borrows and regions end however their blocks are left: return, continue,
 * break, goto.
 *
 * expect: nothing
 */
#include "common.h"

BSCOPE_DECLARE_SCOPED(table);
BSCOPE_DECLARE_SCOPED(lookup);

static int table, me, other;

static int lookup(int key)
{
	int found = 0;

	BSCOPE_REGION_SCOPED(lookup, &found);
	for (int i = 0; i < 8; i++) {
		BSCOPE_BORROW_SCOPED(table, &table, &me);
		if (key == i)
			return 1;
		if (i % 2)
			continue;
		BSCOPE_BORROW_MUT_SCOPED(table, &table, &me);
		if (key == -i)
			break;
		if (key == i + 100)
			goto out;
	}
	BSCOPE_BORROW_MUT(table, &table, &other);
	BSCOPE_UNBORROW(table, &table, &other);
out:
	BSCOPE_NEW(scratch, &found);
	BSCOPE_DROP(scratch, &found);
	return found;
}

int main(void)
{
	wait_for_go();
	BSCOPE_NEW(table, &table);
	for (int key = -8; key < 108; key++) {
		lookup(key);
		BSCOPE_BORROW_MUT(table, &table, &other);
		BSCOPE_UNBORROW(table, &table, &other);
	}
	BSCOPE_DROP(table, &table);
	return 0;
}
