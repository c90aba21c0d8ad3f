/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * borrow_outlives_owner_worker.c - the context of a thread is dropped by another, while the thread
 * has an exclusive borrow in its name.
 *
 * expect: borrow-outlives-owner account at=@fire since=@open
 */
#include "common.h"

static int account, context;
static sem_t opened, fired;

static void *work(void *arg)
{
	BSCOPE_BORROW_MUT(account, &account, &context); /* @open */
	pass(&opened);
	take(&fired);
	BSCOPE_UNBORROW(account, &account, &context);
	BSCOPE_DROP(account, &account);
	return arg;
}

int main(void)
{
	pthread_t thread;

	sem_init(&opened, 0, 0);
	sem_init(&fired, 0, 0);
	wait_for_go();
	BSCOPE_NEW(account, &account);
	BSCOPE_NEW(context, &context);
	thread = spawn(work, NULL);
	take(&opened);
	BSCOPE_DROP(context, &context); /* @fire */
	pass(&fired);
	join(thread);
	return 0;
}
