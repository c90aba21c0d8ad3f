/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ok_pool.c - four threads take slots from one free list and give them back: what one drops another
 * makes anew a moment later.
 *
 * expect: nothing
 */
#include "common.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct slot {
	struct slot *next;
} slots[5], *unused;

static void *worker(void *arg)
{
	for (int i = 0; i < 500; i++) {
		struct slot *s;

		pthread_mutex_lock(&lock);
		s = unused;
		unused = s->next;
		pthread_mutex_unlock(&lock);
		BSCOPE_NEW_SIZED(slot, s, sizeof(*s));
		BSCOPE_MOVE(slot, s, pthread_self());
		BSCOPE_USE(slot, s, pthread_self());
		BSCOPE_DROP(slot, s);
		pthread_mutex_lock(&lock);
		s->next = unused;
		unused = s;
		pthread_mutex_unlock(&lock);
	}
	return arg;
}

int main(void)
{
	pthread_t threads[4];

	wait_for_go();
	for (int i = 0; i < 5; i++) {
		slots[i].next = unused;
		unused = &slots[i];
	}
	for (int i = 0; i < 4; i++)
		threads[i] = spawn(worker, NULL);
	for (int i = 0; i < 4; i++)
		join(threads[i]);
	return 0;
}
