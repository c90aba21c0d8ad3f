/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ok_cache.c - what a request makes and a cache keeps, by a reference or by taking it over, is no
 * leak of the request.
 *
 * expect: nothing
 */
#include "common.h"

static int requests[3], shared[3], given[3], cache;

int main(void)
{
	wait_for_go();
	for (int i = 0; i < 3; i++) {
		BSCOPE_REGION_ENTER(request, &requests[i]);
		BSCOPE_NEW(page, &shared[i]);
		BSCOPE_RETAIN(page, &shared[i]);
		BSCOPE_NEW(page, &given[i]);
		BSCOPE_MOVE(page, &given[i], &cache);
		BSCOPE_REGION_EXIT(request, &requests[i]);
		/* The answer is on its way until here. */
		BSCOPE_RELEASE(page, &shared[i]);
	}
	/* One is evicted, the others are there until the end. */
	BSCOPE_RELEASE(page, &shared[0]);
	BSCOPE_DROP(page, &shared[0]);
	BSCOPE_DROP(page, &given[0]);
	return 0;
}
