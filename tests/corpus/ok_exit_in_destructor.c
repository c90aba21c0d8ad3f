/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ok_exit_in_destructor.c - the process ends while another thread is in the middle of a destructor:
 * it would have dropped and given back the rest.
 *
 * expect: nothing
 */
#include "common.h"

static int cache, entry, table;
static sem_t half;

static void *destroy(void *arg)
{
	BSCOPE_NEW(cache, &cache);
	BSCOPE_NEW(entry, &entry);
	BSCOPE_MOVE(entry, &entry, &cache);
	BSCOPE_BORROW(table, &table, &cache);
	BSCOPE_DROP(cache, &cache);
	pass(&half);
	for (;;)
		pause();
	return arg;
}

int main(void)
{
	sem_init(&half, 0, 0);
	wait_for_go();
	BSCOPE_NEW(table, &table);
	spawn(destroy, NULL);
	take(&half);
	return 0;
}
