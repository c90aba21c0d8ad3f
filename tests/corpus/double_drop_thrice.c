/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * double_drop_thrice.c - three ways out of a shutdown, each of which closes the same descriptor.
 *
 * expect: double-drop fd id=0x9 at=@second since=@first
 * expect: double-drop fd id=0x9 at=@third since=@second
 */
#include "common.h"

int main(void)
{
	int fd = 9;

	wait_for_go();
	BSCOPE_NEW(fd, fd);
	BSCOPE_DROP(fd, fd); /* @first */
	BSCOPE_DROP(fd, fd); /* @second */
	BSCOPE_DROP(fd, fd); /* @third */
	/* Then it is a new one. */
	BSCOPE_NEW(fd, fd);
	BSCOPE_DROP(fd, fd);
	return 0;
}
