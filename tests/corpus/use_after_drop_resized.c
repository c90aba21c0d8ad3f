/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * use_after_drop_resized.c - a table is dropped at the place to which it had grown, and looked up
 * there once more.
 *
 * expect: use-after-drop table at=@late since=@drop
 */
#include "common.h"

static long small[4], big[8];

static void lookup(const long *table)
{
	BSCOPE_USE(table, table, lookup);
}

int main(void)
{
	wait_for_go();
	BSCOPE_NEW_SIZED(table, small, sizeof(small));
	lookup(small);
	BSCOPE_RESIZE_BEGIN(table, small);
	BSCOPE_RESIZE_END(table, big, sizeof(big));
	lookup(big);
	BSCOPE_DROP(table, big);      /* @drop */
	BSCOPE_USE(table, big, main); /* @late */
	return 0;
}
