/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ok_realloc_race.c - between the two marks of a resize another thread is given the address that
 * the buffer leaves, and uses it for three lives; then both go on.
 *
 * expect: nothing
 */
#include "common.h"

static char old[16], moved[32];
static int owner, other;
static sem_t left, taken, ended;

static void *taker(void *arg)
{
	take(&left);
	for (int i = 0; i < 2; i++) {
		BSCOPE_NEW_SIZED(buf, old, sizeof(old));
		BSCOPE_USE(buf, old, &other);
		BSCOPE_DROP(buf, old);
	}
	BSCOPE_NEW_SIZED(buf, old, sizeof(old));
	BSCOPE_BORROW_MUT(buf, old, &other);
	pass(&taken);
	take(&ended);
	BSCOPE_USE(buf, old, &other);
	BSCOPE_UNBORROW(buf, old, &other);
	BSCOPE_DROP(buf, old);
	return arg;
}

int main(void)
{
	pthread_t thread;

	sem_init(&left, 0, 0);
	sem_init(&taken, 0, 0);
	sem_init(&ended, 0, 0);
	wait_for_go();
	thread = spawn(taker, NULL);
	BSCOPE_NEW_SIZED(buf, old, sizeof(old));
	BSCOPE_MOVE(buf, old, &owner);
	BSCOPE_RESIZE_BEGIN(buf, old);
	pass(&left);
	take(&taken);
	BSCOPE_RESIZE_END(buf, moved, sizeof(moved));
	BSCOPE_USE(buf, moved, &owner);
	BSCOPE_DROP(buf, moved);
	pass(&ended);
	join(thread);
	return 0;
}
