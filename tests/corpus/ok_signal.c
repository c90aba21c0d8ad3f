/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ok_signal.c - a signal handler retains, borrows and uses what the code that it interrupts has
 * just in hand.
 *
 * expect: nothing
 */
#include <signal.h>

#include "common.h"

static int object, log_buf, handler, worker;

static void on_signal(int signal)
{
	(void)signal;
	BSCOPE_RETAIN(obj, &object);
	BSCOPE_BORROW(obj, &object, &handler);
	BSCOPE_USE(obj, &object, &handler);
	BSCOPE_UNBORROW(obj, &object, &handler);
	BSCOPE_RELEASE(obj, &object);
	BSCOPE_NEW(log, &log_buf);
	BSCOPE_DROP(log, &log_buf);
}

int main(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGUSR1, &action, NULL);
	wait_for_go();
	for (int i = 0; i < 10; i++) {
		BSCOPE_NEW(obj, &object);
		raise(SIGUSR1);
		BSCOPE_BORROW(obj, &object, &worker);
		raise(SIGUSR1);
		BSCOPE_UNBORROW(obj, &object, &worker);
		BSCOPE_MOVE(obj, &object, &worker);
		raise(SIGUSR1);
		BSCOPE_RELEASE(obj, &object);
		BSCOPE_DROP(obj, &object);
	}
	return 0;
}
