/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * unbalanced_count.c - images are freed when the window closes, whoever has references to them.
 *
 * expect: unbalanced-count image at=@drop since=@new count=2
 */
#include "common.h"

static int images[4];

int main(void)
{
	wait_for_go();
	for (int i = 0; i < 4; i++)
		BSCOPE_NEW(image, &images[i]); /* @new */
	/* Counted 3, 2, 0 and never. */
	BSCOPE_RETAIN(image, &images[0]);
	BSCOPE_RETAIN(image, &images[0]);
	BSCOPE_RETAIN(image, &images[1]);
	BSCOPE_RELEASE(image, &images[2]);
	for (int i = 0; i < 4; i++)
		BSCOPE_DROP(image, &images[i]); /* @drop */
	return 0;
}
