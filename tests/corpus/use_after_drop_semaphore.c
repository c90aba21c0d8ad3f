/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * use_after_drop_semaphore.c - one thread evicts what another has just looked up and uses next.
 *
 * expect: use-after-drop page at=@read since=@evict count=2 thread=other
 */
#include "common.h"

static char pages[2][64];
static sem_t found, evicted;

static void *reader(void *arg)
{
	for (int i = 0; i < 2; i++) {
		BSCOPE_USE(page, pages[i], reader);
		pass(&found);
		take(&evicted);
		BSCOPE_USE(page, pages[i], reader); /* @read */
	}
	return arg;
}

int main(void)
{
	pthread_t thread;

	sem_init(&found, 0, 0);
	sem_init(&evicted, 0, 0);
	wait_for_go();
	for (int i = 0; i < 2; i++)
		BSCOPE_NEW_SIZED(page, pages[i], sizeof(pages[i]));
	thread = spawn(reader, NULL);
	for (int i = 0; i < 2; i++) {
		take(&found);
		BSCOPE_DROP(page, pages[i]); /* @evict */
		pass(&evicted);
	}
	join(thread);
	return 0;
}
