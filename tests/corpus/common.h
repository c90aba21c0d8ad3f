/* SPDX-License-Identifier: GPL-2.0-only */
/* common.h - what the programs of the corpus share: a start that waits, threads, turns. */
#ifndef CORPUS_COMMON_H
#define CORPUS_COMMON_H

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <unistd.h>

#include <bscope/bscope.h>

/*
 * Until standard input says a line or ends: a tool attaches meanwhile.  Or it has started this
 * program, and goes over from traps to jumps: for that it wants to see many marks.
 */
static inline void wait_for_go(void)
{
	struct pollfd in = {STDIN_FILENO, POLLIN, 0};
	char c;

	while (!poll(&in, 1, 1))
		for (int i = 0; i < 100; i++) {
			BSCOPE_NEW(wait, &in);
			BSCOPE_DROP(wait, &in);
		}
	while (read(STDIN_FILENO, &c, 1) == 1 && c != '\n')
		;
}

/* Much longer than clocks of two threads are uncertain. */
static inline void apart(void)
{
	usleep(1000);
}

/* What stands before spawn() comes clearly before what the thread does, and that before join(). */
static inline pthread_t spawn(void *(*f)(void *), void *arg)
{
	pthread_t thread;

	apart();
	if (pthread_create(&thread, NULL, f, arg))
		abort();
	return thread;
}

static inline void join(pthread_t thread)
{
	if (pthread_join(thread, NULL))
		abort();
	apart();
}

/* The same between pass() of one thread and take() of another. */
static inline void pass(sem_t *turn)
{
	apart();
	sem_post(turn);
}

static inline void take(sem_t *turn)
{
	while (sem_wait(turn))
		;
}

#endif
