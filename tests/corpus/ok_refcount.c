/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ok_refcount.c - objects with a real atomic count, that four threads retain and release at the
 * same time; the last one drops, whoever it is.
 *
 * expect: nothing
 */
#include "refs.h"

#define OBJECTS 200

static struct obj *objects[OBJECTS];
static pthread_barrier_t together;

static void *worker(void *arg)
{
	pthread_barrier_wait(&together);
	for (int i = 0; i < OBJECTS; i++) {
		struct obj *o = objects[i];

		/* The thread's own reference is there until here. */
		if (obj_put(obj_get(o)))
			abort();
		if (obj_put(o))
			free(o);
	}
	return arg;
}

int main(void)
{
	pthread_t threads[4];

	pthread_barrier_init(&together, NULL, 4);
	wait_for_go();
	for (int i = 0; i < OBJECTS; i++) {
		struct obj *o = malloc(sizeof(*o));

		if (!o)
			return 1;
		o->refs = 1;
		BSCOPE_NEW_SIZED(obj, o, sizeof(*o));
		for (int k = 1; k < 4; k++)
			obj_get(o);
		objects[i] = o;
	}
	for (int i = 0; i < 4; i++)
		threads[i] = spawn(worker, NULL);
	for (int i = 0; i < 4; i++)
		join(threads[i]);
	return 0;
}
