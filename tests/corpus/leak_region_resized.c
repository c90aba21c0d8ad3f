/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * leak_region_resized.c - a buffer grows twice in its region, moves once, and is left there;
 * another that moves is not.
 *
 * expect: leak buf at=@exit since=@new
 */
#include "common.h"

static char memory[4][64];
static int arena;

static void grow(char *from, char *to, size_t size)
{
	BSCOPE_RESIZE_BEGIN(buf, from);
	BSCOPE_RESIZE_END(buf, to, size);
}

int main(void)
{
	wait_for_go();
	BSCOPE_REGION_ENTER(arena, &arena);
	BSCOPE_NEW_SIZED(buf, memory[0], 16); /* @new */
	BSCOPE_NEW_SIZED(buf, memory[1], 16);
	grow(memory[0], memory[0], 32);
	grow(memory[0], memory[2], 64);
	grow(memory[1], memory[3], 64);
	BSCOPE_DROP(buf, memory[3]);
	BSCOPE_REGION_EXIT(arena, &arena); /* @exit */
	return 0;
}
