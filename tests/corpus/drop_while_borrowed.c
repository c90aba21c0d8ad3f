/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * drop_while_borrowed.c - a table with three readers is dropped: one finding, of the reader who is
 * there for longest.
 *
 * expect: drop-while-borrowed table at=@drop since=@second
 */
#include "common.h"

static int table, readers[3];

int main(void)
{
	wait_for_go();
	BSCOPE_NEW(table, &table);
	BSCOPE_BORROW(table, &table, &readers[0]);
	BSCOPE_BORROW(table, &table, &readers[1]); /* @second */
	BSCOPE_BORROW(table, &table, &readers[2]);
	BSCOPE_UNBORROW(table, &table, &readers[0]);
	BSCOPE_DROP(table, &table); /* @drop */
	BSCOPE_UNBORROW(table, &table, &readers[2]);
	BSCOPE_UNBORROW(table, &table, &readers[1]);
	return 0;
}
