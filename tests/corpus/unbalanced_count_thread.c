/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * unbalanced_count_thread.c - references are handed to threads; one of them leaves by its error
 * path with it.
 *
 * expect: unbalanced-count task at=@drop since=@new
 */
#include "common.h"

static int tasks[2];

static void *work(void *task)
{
	if (task == &tasks[1])
		return NULL;
	BSCOPE_RELEASE(task, task);
	return NULL;
}

int main(void)
{
	wait_for_go();
	for (int i = 0; i < 2; i++) {
		pthread_t thread;

		BSCOPE_NEW(task, &tasks[i]); /* @new */
		BSCOPE_RETAIN(task, &tasks[i]);
		thread = spawn(work, &tasks[i]);
		join(thread);
		BSCOPE_RELEASE(task, &tasks[i]);
		BSCOPE_DROP(task, &tasks[i]); /* @drop */
	}
	return 0;
}
