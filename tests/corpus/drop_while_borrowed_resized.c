/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * drop_while_borrowed_resized.c - a borrow lasts while its buffer moves, and is still there when
 * the buffer is dropped.
 *
 * expect: drop-while-borrowed buf at=@drop since=@borrow
 */
#include "common.h"

static char small[16], big[32];
static int cursor;

int main(void)
{
	wait_for_go();
	BSCOPE_NEW_SIZED(buf, small, sizeof(small));
	BSCOPE_BORROW(buf, small, &cursor); /* @borrow */
	BSCOPE_RESIZE_BEGIN(buf, small);
	BSCOPE_RESIZE_END(buf, big, sizeof(big));
	BSCOPE_DROP(buf, big); /* @drop */
	return 0;
}
