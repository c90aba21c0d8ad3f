/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * leak_owner.c - a connection is dropped and does not close its descriptor; that which it has
 * passed on to the listener is in good hands.
 *
 * expect: leak fd id=0x7 at=@drop since=@move
 */
#include "common.h"

static int conn, listener;

int main(void)
{
	wait_for_go();
	BSCOPE_NEW(conn, &conn);
	BSCOPE_NEW(listener, &listener);
	for (int fd = 7; fd < 10; fd++) {
		BSCOPE_NEW(fd, fd);
		BSCOPE_MOVE(fd, fd, &conn); /* @move */
	}
	BSCOPE_DROP(fd, 8);
	BSCOPE_MOVE(fd, 9, &listener);
	BSCOPE_DROP(conn, &conn); /* @drop */
	return 0;
}
