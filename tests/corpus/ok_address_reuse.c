/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ok_address_reuse.c - a thousand lives at one address, as malloc makes them, and each of them
 * right: what one was told is nothing that the next has to answer for.
 *
 * expect: nothing
 */
#include "common.h"

static int a, b;

int main(void)
{
	wait_for_go();
	for (int i = 0; i < 1000; i++) {
		char *p = malloc(48);

		if (!p)
			return 1;
		BSCOPE_NEW_SIZED(buf, p, 48);
		if (i % 2)
			BSCOPE_MOVE(buf, p, &b);
		if (i % 3)
			BSCOPE_RETAIN(buf, p);
		BSCOPE_USE(buf, p, i % 2 ? &b : &a);
		if (i % 3) {
			BSCOPE_RELEASE(buf, p);
			BSCOPE_RELEASE(buf, p);
		}
		BSCOPE_DROP(buf, p);
		free(p);
	}
	return 0;
}
