/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * jump_program.c - a program for test_jump.c, which links it in several ways: three sites, with
 * one, two and three operands.  Says that it is ready by a byte, and goes when its input ends.
 *
 * As a library (JUMP_LIBRARY) it has a site in its last function: the stub is the end of the text.
 */
#include <stdint.h>
#include <unistd.h>

#include <bscope/bscope.h>

int jump_marks(void *id);

#ifndef JUMP_MAIN_ONLY
__attribute__((noinline)) int jump_marks(void *id)
{
	BSCOPE_DROP(thing, id);
	BSCOPE_MOVE(thing, id, &id);
	BSCOPE_SITE3(BSCOPE_KIND_NEW, "new", 3u, "thing", "three", id, 64, 0x1234);
	return 0;
}
#endif

#ifndef JUMP_LIBRARY
int main(void)
{
	char c = 0;

	jump_marks(&c);
	if (write(1, &c, 1) != 1)
		return 1;
	while (read(0, &c, 1) > 0)
		;
	return 0;
}
#endif
