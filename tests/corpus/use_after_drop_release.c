/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * use_after_drop_release.c - the object is dropped although a thread has a reference, which that
 * thread gives up later.
 *
 * expect: unbalanced-count obj at=@drop since=@new
 * expect: use-after-drop obj at=@release since=@drop thread=other
 */
#include "common.h"

static int object;
static sem_t dropped;

static void *work(void *arg)
{
	take(&dropped);
	BSCOPE_RELEASE(obj, &object); /* @release */
	return arg;
}

int main(void)
{
	pthread_t thread;

	sem_init(&dropped, 0, 0);
	wait_for_go();
	BSCOPE_NEW(obj, &object); /* @new */
	BSCOPE_RETAIN(obj, &object);
	thread = spawn(work, NULL);
	BSCOPE_RELEASE(obj, &object);
	BSCOPE_DROP(obj, &object); /* @drop */
	pass(&dropped);
	join(thread);
	return 0;
}
