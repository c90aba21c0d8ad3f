/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * use_after_move_chain.c - from stage to stage and back: who owned it before does no longer.
 *
 * expect: use-after-move item at=@decode since=@to_render
 * expect: use-after-move item at=@render since=@back
 */
#include "common.h"

static int item, decode, render;

int main(void)
{
	wait_for_go();
	BSCOPE_NEW(item, &item);
	BSCOPE_MOVE(item, &item, &decode);
	BSCOPE_USE(item, &item, &decode);
	BSCOPE_MOVE(item, &item, &render); /* @to_render */
	BSCOPE_USE(item, &item, &render);
	BSCOPE_USE(item, &item, &decode);  /* @decode */
	BSCOPE_MOVE(item, &item, &decode); /* @back */
	BSCOPE_USE(item, &item, &decode);
	BSCOPE_USE(item, &item, &render); /* @render */
	BSCOPE_DROP(item, &item);
	return 0;
}
