/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * conflicting_borrow.c - a writer among readers, and a reader beside a writer.  Of several that are
 * in the way, it is the one who is there for longest.
 *
 * expect: conflicting-borrow table at=@writer since=@first
 * expect: conflicting-borrow table at=@again since=@second
 * expect: conflicting-borrow table at=@reader since=@alone
 */
#include "common.h"

static int table, a, b, c, d;

int main(void)
{
	wait_for_go();
	BSCOPE_NEW(table, &table);
	BSCOPE_BORROW(table, &table, &a);     /* @first */
	BSCOPE_BORROW(table, &table, &b);     /* @second */
	BSCOPE_BORROW_MUT(table, &table, &c); /* @writer */
	BSCOPE_UNBORROW(table, &table, &c);
	BSCOPE_UNBORROW(table, &table, &a);
	BSCOPE_BORROW_MUT(table, &table, &d); /* @again */
	BSCOPE_UNBORROW(table, &table, &d);
	BSCOPE_UNBORROW(table, &table, &b);
	BSCOPE_BORROW_MUT(table, &table, &a); /* @alone */
	BSCOPE_BORROW(table, &table, &b);     /* @reader */
	BSCOPE_UNBORROW(table, &table, &b);
	BSCOPE_UNBORROW(table, &table, &a);
	BSCOPE_DROP(table, &table);
	return 0;
}
