/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ok_regions.c - regions within regions, one of them within itself.  What they do not leave behind:
 * what was dropped, moved out, retained by somebody, made before, or made by another thread.
 *
 * expect: nothing
 */
#include "common.h"

static int before, outer, kept, moved, theirs[2], session;

static void recurse(int depth)
{
	int scratch;

	BSCOPE_REGION_ENTER(step, recurse);
	BSCOPE_NEW(scratch, &scratch);
	if (depth)
		recurse(depth - 1);
	BSCOPE_DROP(scratch, &scratch);
	BSCOPE_REGION_EXIT(step, recurse);
}

static void *other_thread(void *arg)
{
	BSCOPE_NEW(thing, &theirs[0]);
	BSCOPE_NEW(thing, &theirs[1]);
	return arg;
}

int main(void)
{
	int inside;

	wait_for_go();
	BSCOPE_NEW(thing, &before);
	BSCOPE_REGION_ENTER(request, &outer);
	recurse(5);
	BSCOPE_NEW(thing, &inside);
	BSCOPE_REGION_ENTER(parse, &inside);
	BSCOPE_NEW(thing, &moved);
	BSCOPE_MOVE(thing, &moved, &session);
	join(spawn(other_thread, NULL));
	BSCOPE_NEW(thing, &kept);
	BSCOPE_RETAIN(thing, &kept);
	BSCOPE_REGION_EXIT(parse, &inside);
	BSCOPE_DROP(thing, &inside);
	BSCOPE_REGION_EXIT(request, &outer);
	BSCOPE_RELEASE(thing, &kept);
	BSCOPE_RELEASE(thing, &kept);
	BSCOPE_DROP(thing, &kept);
	return 0;
}
