/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ok_before_attach.c - all that was done before the attach is right, and so is the rest of it; seen
 * from the attach on, most of it looks wrong.
 *
 * expect: nothing
 */
#include "common.h"

static int counted, borrowed, moved, again, region, owner, reader;

int main(void)
{
	BSCOPE_NEW(thing, &counted);
	BSCOPE_RETAIN(thing, &counted);
	BSCOPE_RETAIN(thing, &counted);
	BSCOPE_NEW(thing, &borrowed);
	BSCOPE_BORROW_MUT(thing, &borrowed, &reader);
	BSCOPE_NEW(thing, &moved);
	BSCOPE_MOVE(thing, &moved, &owner);
	BSCOPE_NEW(thing, &again);
	BSCOPE_DROP(thing, &again);
	BSCOPE_REGION_ENTER(region, &region);
	wait_for_go();
	BSCOPE_RELEASE(thing, &counted);
	BSCOPE_RELEASE(thing, &counted);
	BSCOPE_RELEASE(thing, &counted);
	BSCOPE_DROP(thing, &counted);
	BSCOPE_UNBORROW(thing, &borrowed, &reader);
	BSCOPE_BORROW(thing, &borrowed, &owner);
	BSCOPE_UNBORROW(thing, &borrowed, &owner);
	BSCOPE_DROP(thing, &borrowed);
	BSCOPE_USE(thing, &moved, &owner);
	BSCOPE_NEW(thing, &again);
	BSCOPE_DROP(thing, &again);
	BSCOPE_REGION_EXIT(region, &region);
	BSCOPE_DROP(thing, &moved);
	return 0;
}
