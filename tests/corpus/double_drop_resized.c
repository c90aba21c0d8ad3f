/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * double_drop_resized.c - an array that moved when it grew is given back twice at its new place,
 * while its old one is somebody else's.
 *
 * expect: double-drop array at=@second since=@first
 */
#include "common.h"

static long small[8], big[16];

int main(void)
{
	wait_for_go();
	BSCOPE_NEW_SIZED(array, small, sizeof(small));
	BSCOPE_RESIZE_BEGIN(array, small);
	BSCOPE_RESIZE_END(array, big, sizeof(big));
	BSCOPE_NEW_SIZED(array, small, sizeof(small));
	BSCOPE_DROP(array, big);   /* @first */
	BSCOPE_DROP(array, small); /* another one: right */
	BSCOPE_DROP(array, big);   /* @second */
	return 0;
}
