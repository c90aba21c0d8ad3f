/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * leak_owner_queue.c - a queue is destroyed with a message in it, by another thread than that which
 * put it there.
 *
 * expect: leak msg at=@destroy since=@push
 */
#include "common.h"

static int queue, messages[3];

static void *produce(void *arg)
{
	for (int i = 0; i < 3; i++) {
		BSCOPE_NEW(msg, &messages[i]);
		BSCOPE_MOVE(msg, &messages[i], &queue); /* @push */
	}
	return arg;
}

int main(void)
{
	wait_for_go();
	BSCOPE_NEW(queue, &queue);
	join(spawn(produce, NULL));
	BSCOPE_MOVE(msg, &messages[0], main);
	BSCOPE_DROP(msg, &messages[0]);
	BSCOPE_DROP(queue, &queue); /* @destroy */
	/* Found in time. */
	BSCOPE_DROP(msg, &messages[1]);
	return 0;
}
