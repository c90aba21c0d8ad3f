/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ok_locks.c - a mutex and a read-write lock that four threads fight for: they exclude each other,
 * however close together it looks.
 *
 * expect: nothing
 */
#include "common.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static long sum;

static void *worker(void *arg)
{
	for (int i = 0; i < 500; i++) {
		pthread_mutex_lock(&mutex);
		BSCOPE_BORROW_MUT(mutex, &mutex, pthread_self());
		sum++;
		BSCOPE_UNBORROW(mutex, &mutex, pthread_self());
		pthread_mutex_unlock(&mutex);
		if (i % 4) {
			pthread_rwlock_rdlock(&rwlock);
			BSCOPE_BORROW(rwlock, &rwlock, pthread_self());
		} else {
			pthread_rwlock_wrlock(&rwlock);
			BSCOPE_BORROW_MUT(rwlock, &rwlock, pthread_self());
		}
		BSCOPE_UNBORROW(rwlock, &rwlock, pthread_self());
		pthread_rwlock_unlock(&rwlock);
	}
	return arg;
}

int main(void)
{
	pthread_t threads[4];

	wait_for_go();
	for (int i = 0; i < 4; i++)
		threads[i] = spawn(worker, NULL);
	for (int i = 0; i < 4; i++)
		join(threads[i]);
	BSCOPE_DROP(mutex, &mutex);
	BSCOPE_DROP(rwlock, &rwlock);
	return sum != 4 * 500;
}
