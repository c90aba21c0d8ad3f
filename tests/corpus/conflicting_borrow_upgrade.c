/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * conflicting_borrow_upgrade.c - who reads may begin to write when alone, and not beside another.
 *
 * expect: conflicting-borrow map at=@upgrade since=@other count=1
 */
#include "common.h"

static int map, me, other;

static void upgrade(void)
{
	BSCOPE_BORROW(map, &map, &me);
	BSCOPE_BORROW_MUT(map, &map, &me); /* @upgrade */
	BSCOPE_UNBORROW(map, &map, &me);
	BSCOPE_UNBORROW(map, &map, &me);
}

int main(void)
{
	wait_for_go();
	BSCOPE_NEW(map, &map);
	upgrade();
	BSCOPE_BORROW(map, &map, &other); /* @other */
	upgrade();
	BSCOPE_UNBORROW(map, &map, &other);
	upgrade();
	BSCOPE_DROP(map, &map);
	return 0;
}
