/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * leak_region.c - each of three requests leaves its header behind.
 *
 * expect: leak header at=@exit since=@header count=3
 */
#include "common.h"

static int requests[3], headers[3], bodies[3];

int main(void)
{
	wait_for_go();
	for (int i = 0; i < 3; i++) {
		BSCOPE_REGION_ENTER(request, &requests[i]);
		BSCOPE_NEW(header, &headers[i]); /* @header */
		BSCOPE_NEW(body, &bodies[i]);
		BSCOPE_DROP(body, &bodies[i]);
		BSCOPE_REGION_EXIT(request, &requests[i]); /* @exit */
	}
	return 0;
}
