/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cut_off.c - a process that ends while another of its threads is in the middle of a destructor, or
 * when that thread has come to its end.
 *
 *     cut_off middle|end
 *
 * The destructor of a cache that owns an entry and has borrowed a table drops and gives back
 * nothing before it is cut off; nor does it by its end, which is wrong.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bscope/bscope.h>

static int cache, entry, table;
static sem_t dropped;
static int ends;

static void *destroy(void *arg)
{
	BSCOPE_NEW(cache, &cache);
	BSCOPE_NEW(entry, &entry);
	BSCOPE_MOVE(entry, &entry, &cache);
	BSCOPE_BORROW(table, &table, &cache);
	BSCOPE_DROP(cache, &cache);
	if (ends)
		return arg;
	sem_post(&dropped);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	pthread_t thread;

	ends = argc > 1 && !strcmp(argv[1], "end");
	sem_init(&dropped, 0, 0);
	BSCOPE_NEW(table, &table);
	if (pthread_create(&thread, NULL, destroy, NULL))
		abort();
	if (ends)
		pthread_join(thread, NULL);
	else
		while (sem_wait(&dropped))
			;
	return 0;
}
