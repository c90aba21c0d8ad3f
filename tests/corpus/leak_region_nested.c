/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * leak_region_nested.c - what is left is left by the innermost region, and once.
 *
 * expect: leak token at=@parsed since=@token
 * expect: leak header at=@done since=@header
 * expect: leak header at=@done since=@trailer
 */
#include "common.h"

static int request, parse, header, trailer, tokens[2];

int main(void)
{
	wait_for_go();
	BSCOPE_REGION_ENTER(request, &request);
	BSCOPE_NEW(header, &header); /* @header */
	BSCOPE_REGION_ENTER(parse, &parse);
	for (int i = 0; i < 2; i++)
		BSCOPE_NEW(token, &tokens[i]); /* @token */
	BSCOPE_DROP(token, &tokens[1]);
	BSCOPE_REGION_EXIT(parse, &parse);     /* @parsed */
	BSCOPE_NEW(header, &trailer);	       /* @trailer */
	BSCOPE_REGION_EXIT(request, &request); /* @done */
	/* Late, but not never: it was left all the same. */
	BSCOPE_DROP(header, &header);
	BSCOPE_DROP(token, &tokens[0]);
	return 0;
}
