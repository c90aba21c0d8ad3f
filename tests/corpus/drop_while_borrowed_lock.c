/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * drop_while_borrowed_lock.c - a mutex that nobody made, being initialised statically, is destroyed
 * by who holds it.
 *
 * expect: drop-while-borrowed lock at=@destroy since=@hold
 */
#include "common.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void hold(void)
{
	pthread_mutex_lock(&lock);
	BSCOPE_BORROW_MUT(lock, &lock, pthread_self()); /* @hold */
}

static void let_go(void)
{
	BSCOPE_UNBORROW(lock, &lock, pthread_self());
	pthread_mutex_unlock(&lock);
}

int main(void)
{
	wait_for_go();
	hold();
	let_go();
	hold();
	BSCOPE_DROP(lock, &lock); /* @destroy */
	pthread_mutex_unlock(&lock);
	pthread_mutex_destroy(&lock);
	return 0;
}
