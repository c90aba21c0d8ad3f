/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * double_drop_mutex.c - two threads clean up, one after the other under a mutex; nobody looks
 * whether it was done.
 *
 * expect: double-drop entry at=@drop since=@drop count=3 thread=other
 */
#include "common.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static sem_t second;
static int entries[3];

static void clean_up(void)
{
	pthread_mutex_lock(&lock);
	for (int i = 0; i < 3; i++)
		BSCOPE_DROP(entry, &entries[i]); /* @drop */
	pthread_mutex_unlock(&lock);
}

static void *early(void *arg)
{
	clean_up();
	pass(&second);
	return arg;
}

static void *late(void *arg)
{
	take(&second);
	clean_up();
	return arg;
}

int main(void)
{
	pthread_t a, b;

	sem_init(&second, 0, 0);
	wait_for_go();
	for (int i = 0; i < 3; i++)
		BSCOPE_NEW(entry, &entries[i]);
	b = spawn(late, NULL);
	a = spawn(early, NULL);
	join(a);
	join(b);
	return 0;
}
