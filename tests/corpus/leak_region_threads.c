/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * leak_region_threads.c - two threads are in regions at the same time, and a third in none.  Each
 * region has what its own thread makes.
 *
 * expect: leak reply at=@exit since=@reply count=2 thread=other
 */
#include "common.h"

static int regions[2], replies[2], scratch[2], others[2];
static sem_t entered, leave;

static void *serve(void *region)
{
	int i = (int)((int *)region - regions);

	BSCOPE_REGION_ENTER(request, region);
	BSCOPE_NEW(reply, &replies[i]); /* @reply */
	BSCOPE_NEW(scratch, &scratch[i]);
	pass(&entered);
	take(&leave);
	BSCOPE_DROP(scratch, &scratch[i]);
	BSCOPE_REGION_EXIT(request, region); /* @exit */
	return NULL;
}

int main(void)
{
	pthread_t threads[2];

	sem_init(&entered, 0, 0);
	sem_init(&leave, 0, 0);
	wait_for_go();
	for (int i = 0; i < 2; i++)
		threads[i] = spawn(serve, &regions[i]);
	for (int i = 0; i < 2; i++)
		take(&entered);
	for (int i = 0; i < 2; i++)
		BSCOPE_NEW(reply, &others[i]);
	for (int i = 0; i < 2; i++)
		pass(&leave);
	for (int i = 0; i < 2; i++)
		join(threads[i]);
	return 0;
}
