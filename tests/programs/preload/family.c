// SPDX-License-Identifier: GPL-2.0-only
/*
 * family.c - every allocation function, in four threads that free each other's blocks, and an
 * account of what was done.
 *
 * Usage: family ROUNDS [nopvalloc] (jemalloc has no pvalloc, valgrind refuses it).  What the C
 * library allocates for itself (thread vectors, the buffer of stdout) is the same for every number
 * of rounds, so the marks of two runs differ by exactly the difference of their accounts.
 */
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "tally.h"

#define THREADS 4
#define SLOTS	256

static void *slots[SLOTS]; /* blocks handed over between the threads */
static unsigned long rounds;
static int with_pvalloc;
static volatile size_t huge = PTRDIFF_MAX;
static struct tally tallies[THREADS];
static pthread_barrier_t barrier;

/* Keeps the compiler from pairing an allocation with its free and removing both. */
static void *keep(void *p)
{
	__asm__ volatile("" : "+r"(p) : : "memory");
	return p;
}

static void *made(struct tally *t, void *p)
{
	p = keep(p);
	if (!p)
		abort();
	t->made++;
	return p;
}

static void gone(struct tally *t, void *p)
{
	free(keep(p));
	if (p)
		t->dropped++;
}

static void *resized(struct tally *t, void *p)
{
	t->resizes++;
	p = keep(p);
	if (!p)
		abort();
	return p;
}

static void one_round(struct tally *t, unsigned long r)
{
	void *p, *q;

	p = made(t, malloc(r % 700));
	q = __atomic_exchange_n(&slots[(r * 7) % SLOTS], p, __ATOMIC_ACQ_REL);
	gone(t, q);

	p = made(t, calloc(r % 13 + 1, 24));
	p = resized(t, realloc(p, r % 3000 + 1));
	p = resized(t, reallocarray(p, r % 50 + 1, 100));
	gone(t, p);

	/* realloc as malloc, and as free */
	p = made(t, realloc(NULL, 100));
	p = keep(realloc(p, 0));
	t->dropped++;
	if (p) /* jemalloc: freed, and a new one of no size */
		gone(t, made(t, p));
	p = made(t, reallocarray(NULL, 3, 50));
	gone(t, p);

	gone(t, made(t, aligned_alloc(64, 128)));
	gone(t, made(t, memalign(256, 100)));
	if (posix_memalign(&p, 4096, r % 100 + 1))
		abort();
	gone(t, made(t, p));
	gone(t, made(t, valloc(10)));
	if (with_pvalloc)
		gone(t, made(t, pvalloc(10)));

	/* Nothing is made by what fails, and nothing ends; a resize that fails is still one. */
	if (keep(malloc(huge)) || keep(calloc(huge, 3)) || keep(aligned_alloc(64, huge)))
		abort();
	if (keep(realloc(NULL, huge)) || !posix_memalign(&q, 3, 10))
		abort();
	p = made(t, malloc(50));
	if (keep(realloc(p, huge)) || keep(reallocarray(p, huge, 16)))
		abort();
	t->resizes += 2;
	gone(t, p);
	gone(t, NULL);
}

static void *worker(void *arg)
{
	struct tally *t = arg;
	unsigned long i;

	/* All threads live at the same time, so that each needs its own stack. */
	pthread_barrier_wait(&barrier);
	for (i = 0; i < rounds; i++)
		one_round(t, i);
	pthread_barrier_wait(&barrier);
	return NULL;
}

int main(int argc, char **argv)
{
	struct tally sum = {0};
	pthread_t tid[THREADS];
	int i;

	rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 100;
	with_pvalloc = argc <= 2;
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&tid[i], NULL, worker, &tallies[i]))
			abort();
	for (i = 0; i < THREADS; i++) {
		pthread_join(tid[i], NULL);
		sum.made += tallies[i].made;
		sum.resizes += tallies[i].resizes;
		sum.dropped += tallies[i].dropped;
	}

	/* Some of what is in the slots stays: its size is known again after a resize. */
	for (i = 0; i < SLOTS; i++) {
		if (!slots[i])
			continue;
		if (i % 3) {
			slots[i] = resized(&sum, realloc(slots[i], (size_t)i + 1));
			sum.left++;
			sum.left_bytes += (unsigned long)i + 1;
		} else {
			gone(&sum, slots[i]);
			slots[i] = NULL;
		}
	}
	tally_print(&sum);
	return 0;
}
