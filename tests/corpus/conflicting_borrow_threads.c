/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * conflicting_borrow_threads.c - a lock that lets everybody in, as often as they try.
 *
 * expect: conflicting-borrow lock at=@late since=@early count=3 thread=other
 */
#include "common.h"

static int lock;
static sem_t in, out;

static void *worker(void *arg)
{
	for (int i = 0; i < 3; i++) {
		take(&in);
		BSCOPE_BORROW_MUT(lock, &lock, worker); /* @late */
		BSCOPE_UNBORROW(lock, &lock, worker);
		pass(&out);
	}
	return arg;
}

int main(void)
{
	pthread_t thread;

	sem_init(&in, 0, 0);
	sem_init(&out, 0, 0);
	wait_for_go();
	thread = spawn(worker, NULL);
	for (int i = 0; i < 3; i++) {
		BSCOPE_BORROW_MUT(lock, &lock, main); /* @early */
		pass(&in);
		take(&out);
		BSCOPE_UNBORROW(lock, &lock, main);
	}
	join(thread);
	return 0;
}
