/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ok_condition.c - who waits for a condition does not hold the mutex meanwhile.
 *
 * expect: nothing
 */
#include "common.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int turn;

static void *player(void *arg)
{
	int mine = arg != NULL;

	for (int i = 0; i < 200; i++) {
		pthread_mutex_lock(&lock);
		BSCOPE_BORROW_MUT(lock, &lock, pthread_self());
		while (turn != mine) {
			BSCOPE_UNBORROW(lock, &lock, pthread_self());
			pthread_cond_wait(&changed, &lock);
			BSCOPE_BORROW_MUT(lock, &lock, pthread_self());
		}
		turn = !mine;
		pthread_cond_signal(&changed);
		BSCOPE_UNBORROW(lock, &lock, pthread_self());
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

int main(void)
{
	pthread_t threads[2];

	wait_for_go();
	threads[0] = spawn(player, NULL);
	threads[1] = spawn(player, &turn);
	join(threads[0]);
	join(threads[1]);
	BSCOPE_DROP(lock, &lock);
	pthread_mutex_destroy(&lock);
	return 0;
}
