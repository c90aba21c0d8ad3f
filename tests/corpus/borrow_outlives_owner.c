/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * borrow_outlives_owner.c - a statement is finalised and leaves two tables borrowed; they are there
 * for long, so nothing else is wrong with them.
 *
 * expect: borrow-outlives-owner table at=@finalise since=@borrow count=2
 */
#include "common.h"

static int tables[3], statement;

int main(void)
{
	wait_for_go();
	for (int i = 0; i < 3; i++)
		BSCOPE_NEW(table, &tables[i]);
	BSCOPE_NEW(statement, &statement);
	for (int i = 0; i < 3; i++)
		BSCOPE_BORROW(table, &tables[i], &statement); /* @borrow */
	BSCOPE_UNBORROW(table, &tables[1], &statement);
	BSCOPE_DROP(statement, &statement); /* @finalise */
	return 0;
}
