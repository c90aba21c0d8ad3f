/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * use_after_move_queue.c - the producer stamps a message that it has queued and that the consumer
 * has already taken out.
 *
 * expect: use-after-move msg at=@stamp since=@out
 */
#include "common.h"

static int message, queue, producer, consumer;
static sem_t queued, taken, stamped;

static void *consume(void *arg)
{
	take(&queued);
	BSCOPE_MOVE(msg, &message, &consumer); /* @out */
	BSCOPE_USE(msg, &message, &consumer);
	pass(&taken);
	take(&stamped);
	BSCOPE_DROP(msg, &message);
	return arg;
}

int main(void)
{
	pthread_t thread;

	sem_init(&queued, 0, 0);
	sem_init(&taken, 0, 0);
	sem_init(&stamped, 0, 0);
	wait_for_go();
	thread = spawn(consume, NULL);
	BSCOPE_NEW(msg, &message);
	BSCOPE_USE(msg, &message, &producer);
	BSCOPE_MOVE(msg, &message, &queue);
	pass(&queued);
	take(&taken);
	BSCOPE_USE(msg, &message, &producer); /* @stamp */
	pass(&stamped);
	join(thread);
	return 0;
}
