/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * double_drop.c - the function that fails gives the buffer back, and so does its caller.
 *
 * expect: double-drop buf at=@second since=@first
 */
#include "common.h"

static char the_buf[64];

static int parse(const char *line, char *buf)
{
	if (line[0] == 'G')
		return 0;
	BSCOPE_DROP(buf, buf); /* @first */
	return -1;
}

int main(void)
{
	wait_for_go();
	BSCOPE_NEW_SIZED(buf, the_buf, sizeof(the_buf));
	if (parse("PUT /", the_buf))
		BSCOPE_DROP(buf, the_buf); /* @second */
	return 0;
}
