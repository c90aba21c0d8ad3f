// SPDX-License-Identifier: GPL-2.0-only
/*
 * lock_orders.c - threads that take locks in orders that are known; no two of them at the same
 * time, so that nothing ever deadlocks.
 *
 *	lock_orders abba|gate|same|init|heap|try|three|readers|remade
 *	lock_orders wait N    many threads hand work to each other, correctly
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t a = PTHREAD_MUTEX_INITIALIZER, b = PTHREAD_MUTEX_INITIALIZER,
		       c = PTHREAD_MUTEX_INITIALIZER, gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t ra = PTHREAD_RWLOCK_INITIALIZER, rb = PTHREAD_RWLOCK_INITIALIZER;

struct job {
	pthread_mutex_t *outer, *inner, *around;
	bool try;
};

static void *take(void *arg)
{
	const struct job *j = arg;

	if (j->around)
		pthread_mutex_lock(j->around);
	pthread_mutex_lock(j->outer);
	if (j->try) {
		if (pthread_mutex_trylock(j->inner))
			abort();
	} else {
		pthread_mutex_lock(j->inner);
	}
	pthread_mutex_unlock(j->inner);
	pthread_mutex_unlock(j->outer);
	if (j->around)
		pthread_mutex_unlock(j->around);
	return NULL;
}

static void *read_both(void *arg)
{
	pthread_rwlock_rdlock(arg ? &ra : &rb);
	pthread_rwlock_rdlock(arg ? &rb : &ra);
	pthread_rwlock_unlock(arg ? &rb : &ra);
	pthread_rwlock_unlock(arg ? &ra : &rb);
	return NULL;
}

static void thread(void *(*fn)(void *), void *arg)
{
	pthread_t t;

	if (pthread_create(&t, NULL, fn, arg) || pthread_join(t, NULL))
		abort();
}

static void job(pthread_mutex_t *outer, pthread_mutex_t *inner, pthread_mutex_t *around, bool try)
{
	struct job j = {outer, inner, around, try};

	thread(take, &j);
}

/* --- a queue, and condition waits of all kinds ---------------------------------------------------
 */

enum { WORKERS = 6, SLOTS = 8 };
static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t stats_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER, emptied = PTHREAD_COND_INITIALIZER;
static unsigned queued;
static unsigned long done, late;
static bool over;

static void *worker(void *arg)
{
	for (;;) {
		struct timespec soon;
		bool timed_out = false;

		pthread_mutex_lock(&queue_lock);
		while (!queued && !over) {
			clock_gettime(CLOCK_REALTIME, &soon);
			soon.tv_nsec += 100000;
			if (soon.tv_nsec >= 1000000000) {
				soon.tv_sec++;
				soon.tv_nsec -= 1000000000;
			}
			timed_out |= pthread_cond_timedwait(&filled, &queue_lock, &soon) != 0;
		}
		if (!queued) {
			pthread_mutex_unlock(&queue_lock);
			return arg;
		}
		queued--;
		pthread_cond_signal(&emptied);
		pthread_mutex_lock(&stats_lock);
		done++;
		late += timed_out;
		pthread_mutex_unlock(&stats_lock);
		pthread_mutex_unlock(&queue_lock);
	}
}

static void *producer(void *arg)
{
	unsigned n = *(unsigned *)arg;

	while (n--) {
		pthread_mutex_lock(&queue_lock);
		while (queued == SLOTS)
			pthread_cond_wait(&emptied, &queue_lock);
		queued++;
		pthread_cond_signal(&filled);
		pthread_mutex_unlock(&queue_lock);
	}
	return NULL;
}

static void wait_for_work(unsigned n)
{
	pthread_t workers[WORKERS], producers[2];

	for (int i = 0; i < WORKERS; i++)
		pthread_create(&workers[i], NULL, worker, NULL);
	for (int i = 0; i < 2; i++)
		pthread_create(&producers[i], NULL, producer, &n);
	for (int i = 0; i < 2; i++)
		pthread_join(producers[i], NULL);
	pthread_mutex_lock(&queue_lock);
	over = true;
	pthread_cond_broadcast(&filled);
	pthread_mutex_unlock(&queue_lock);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(workers[i], NULL);
	printf("done %lu\n", done);
}

/* Locks that are made and destroyed, always others at the same addresses. */
static void remade(void)
{
	pthread_mutex_t *m = malloc(2 * sizeof(*m));

	for (int i = 0; i < 2; i++) {
		pthread_mutex_init(&m[0], NULL);
		pthread_mutex_init(&m[1], NULL);
		job(&m[i], &m[!i], NULL, false);
		pthread_mutex_destroy(&m[0]);
		pthread_mutex_destroy(&m[1]);
	}
	/* And with the initialiser, after the destroy. */
	m[0] = m[1] = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	for (int i = 0; i < 3; i++) {
		pthread_mutex_lock(&m[0]);
		pthread_mutex_unlock(&m[0]);
	}
	pthread_mutex_destroy(&m[0]);
	free(m);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	pthread_mutex_t *heap = malloc(2 * sizeof(*heap));

	if (!strcmp(what, "abba")) {
		job(&a, &b, NULL, false);
		job(&b, &a, NULL, false);
	} else if (!strcmp(what, "gate")) {
		job(&a, &b, &gate, false);
		job(&b, &a, &gate, false);
	} else if (!strcmp(what, "same")) {
		for (int i = 0; i < 10; i++)
			job(&a, &b, NULL, false);
	} else if (!strcmp(what, "init")) {
		pthread_mutex_init(&heap[0], NULL);
		pthread_mutex_init(&heap[1], NULL);
		job(&heap[0], &heap[1], NULL, false);
		job(&heap[1], &heap[0], NULL, false);
	} else if (!strcmp(what, "heap")) {
		heap[0] = heap[1] = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
		job(&heap[0], &heap[1], NULL, false);
		job(&heap[1], &heap[0], NULL, false);
	} else if (!strcmp(what, "try")) {
		job(&a, &b, NULL, false);
		job(&b, &a, NULL, true);
	} else if (!strcmp(what, "three")) {
		job(&a, &b, NULL, false);
		job(&b, &c, NULL, false);
		job(&c, &a, NULL, false);
	} else if (!strcmp(what, "readers")) {
		thread(read_both, NULL);
		thread(read_both, &ra);
	} else if (!strcmp(what, "remade")) {
		remade();
	} else if (!strcmp(what, "wait") && argc > 2) {
		wait_for_work((unsigned)atoi(argv[2]));
	} else {
		return 64;
	}
	free(heap);
	usleep(100000); /* so that who traces can see what is mapped where */
	return 0;
}
