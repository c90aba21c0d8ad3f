/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * unbalanced_count_resized.c - references of two addresses, one object: it moved in between.
 *
 * expect: unbalanced-count blob at=@drop since=@new
 */
#include "common.h"

static char right[2][16], wrong[2][16];

static void life(char *before, char *after, int releases)
{
	BSCOPE_NEW_SIZED(blob, before, 8); /* @new */
	BSCOPE_RETAIN(blob, before);
	BSCOPE_RESIZE_BEGIN(blob, before);
	BSCOPE_RESIZE_END(blob, after, 16);
	for (int i = 0; i < releases; i++)
		BSCOPE_RELEASE(blob, after);
	BSCOPE_DROP(blob, after); /* @drop */
}

int main(void)
{
	wait_for_go();
	life(right[0], right[1], 2);
	life(wrong[0], wrong[1], 1);
	return 0;
}
