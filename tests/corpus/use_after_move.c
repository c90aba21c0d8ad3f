/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * use_after_move.c - a request is given to its connection, and its maker goes on writing to it.
 *
 * expect: use-after-move request at=@late since=@move
 */
#include "common.h"

static int request, parser, conn;

int main(void)
{
	wait_for_go();
	BSCOPE_NEW(request, &request);
	BSCOPE_USE(request, &request, &parser);
	BSCOPE_MOVE(request, &request, &conn); /* @move */
	BSCOPE_USE(request, &request, &conn);
	BSCOPE_USE(request, &request, &parser); /* @late */
	BSCOPE_DROP(request, &request);
	return 0;
}
