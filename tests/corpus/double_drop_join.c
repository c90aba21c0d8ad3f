/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * double_drop_join.c - a thread gives back what it was lent; so does who joins it.
 *
 * expect: double-drop job at=@joined since=@done
 */
#include "common.h"

static int the_job;

static void *work(void *job)
{
	BSCOPE_DROP(job, job); /* @done */
	return NULL;
}

int main(void)
{
	wait_for_go();
	BSCOPE_NEW(job, &the_job);
	join(spawn(work, &the_job));
	BSCOPE_DROP(job, &the_job); /* @joined */
	return 0;
}
