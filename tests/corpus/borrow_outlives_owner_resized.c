/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * borrow_outlives_owner_resized.c - what is borrowed moves; that its borrower goes is wrong all the
 * same.
 *
 * expect: borrow-outlives-owner buf at=@drop since=@borrow
 */
#include "common.h"

static char small[16], big[32];
static int cursor;

int main(void)
{
	wait_for_go();
	BSCOPE_NEW_SIZED(buf, small, sizeof(small));
	BSCOPE_NEW(cursor, &cursor);
	BSCOPE_BORROW(buf, small, &cursor); /* @borrow */
	BSCOPE_RESIZE_BEGIN(buf, small);
	BSCOPE_RESIZE_END(buf, big, sizeof(big));
	BSCOPE_DROP(cursor, &cursor); /* @drop */
	return 0;
}
