/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ok_refcount_handed_over.c - a reference is given away with the message that carries it: who gets
 * it releases it, not who made it, and the maker is gone by then.
 *
 * expect: nothing
 */
#include "refs.h"

static struct obj *slot;
static sem_t full, empty;

static void *consume(void *arg)
{
	for (int i = 0; i < 20; i++) {
		struct obj *o;

		take(&full);
		o = slot;
		sem_post(&empty);
		BSCOPE_USE(obj, o, consume);
		if (obj_put(o))
			free(o);
	}
	return arg;
}

static void *produce(void *arg)
{
	for (int i = 0; i < 20; i++) {
		struct obj *o = malloc(sizeof(*o));

		if (!o)
			abort();
		o->refs = 1;
		BSCOPE_NEW_SIZED(obj, o, sizeof(*o));
		take(&empty);
		slot = i % 2 ? obj_get(o) : o;
		sem_post(&full);
		if (i % 2 && obj_put(o))
			free(o);
	}
	return arg;
}

int main(void)
{
	pthread_t producer, consumer;

	sem_init(&full, 0, 0);
	sem_init(&empty, 0, 1);
	wait_for_go();
	consumer = spawn(consume, NULL);
	producer = spawn(produce, NULL);
	join(producer);
	join(consumer);
	return 0;
}
