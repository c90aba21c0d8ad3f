/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ok_live_at_exit.c - what is there until the process ends is no error by itself, borrowed, counted
 * and owned as it may be.
 *
 * expect: nothing
 */
#include "common.h"

static int server, conns[4], log_file, config;

int main(void)
{
	wait_for_go();
	BSCOPE_NEW(server, &server);
	BSCOPE_NEW(config, &config);
	BSCOPE_NEW(log, &log_file);
	for (int i = 0; i < 4; i++) {
		BSCOPE_NEW(conn, &conns[i]);
		BSCOPE_MOVE(conn, &conns[i], &server);
		BSCOPE_RETAIN(config, &config);
		BSCOPE_BORROW(log, &log_file, &conns[i]);
	}
	BSCOPE_REGION_ENTER(main, main);
	BSCOPE_NEW(conn, main);
	return 0;
}
