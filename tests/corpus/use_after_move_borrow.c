/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * use_after_move_borrow.c - who borrows what another owns may use it until the borrow ends.
 *
 * expect: use-after-move frame at=@late since=@move count=2
 */
#include "common.h"

static int frames[2], encoder, filter;

int main(void)
{
	wait_for_go();
	for (int i = 0; i < 2; i++) {
		int *frame = &frames[i];

		BSCOPE_NEW(frame, frame);
		BSCOPE_MOVE(frame, frame, &encoder); /* @move */
		BSCOPE_BORROW(frame, frame, &filter);
		BSCOPE_USE(frame, frame, &filter);
		BSCOPE_USE(frame, frame, &encoder);
		BSCOPE_UNBORROW(frame, frame, &filter);
		BSCOPE_USE(frame, frame, &filter); /* @late */
		BSCOPE_DROP(frame, frame);
	}
	return 0;
}
