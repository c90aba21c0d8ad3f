/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * conflicting_borrow_readers.c - a function writes under the read lock, where another reads.
 *
 * expect: conflicting-borrow cache at=@write since=@read thread=other
 */
#include "common.h"

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static int cache;
static sem_t reading, written;

static void *refresh(void *arg)
{
	/* Alone it does no harm that can be seen. */
	pthread_rwlock_wrlock(&lock);
	BSCOPE_BORROW_MUT(cache, &cache, pthread_self());
	BSCOPE_UNBORROW(cache, &cache, pthread_self());
	pthread_rwlock_unlock(&lock);
	pass(&written);
	take(&reading);
	pthread_rwlock_rdlock(&lock);
	BSCOPE_BORROW_MUT(cache, &cache, pthread_self()); /* @write */
	BSCOPE_UNBORROW(cache, &cache, pthread_self());
	pthread_rwlock_unlock(&lock);
	pass(&written);
	return arg;
}

int main(void)
{
	pthread_t thread;

	sem_init(&reading, 0, 0);
	sem_init(&written, 0, 0);
	wait_for_go();
	thread = spawn(refresh, NULL);
	take(&written);
	pthread_rwlock_rdlock(&lock);
	BSCOPE_BORROW(cache, &cache, pthread_self()); /* @read */
	pass(&reading);
	take(&written);
	BSCOPE_UNBORROW(cache, &cache, pthread_self());
	pthread_rwlock_unlock(&lock);
	join(thread);
	return 0;
}
