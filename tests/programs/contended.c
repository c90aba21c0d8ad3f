/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * contended.c - a correct program: threads share, pass on, resize and replace few objects, marked
 * by the placement rule (what acquires after, what releases before).
 *
 * usage: contended OPERATIONS [THREADS]
 *
 * Waits for a line on its standard input, so that somebody can attach; then does so many
 * operations in all and prints a checksum of what the objects held, which nobody may change.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bscope/bscope.h>

#define SLOTS	64u
#define HELD	4u
#define THREADS 64u

struct object {
	pthread_rwlock_t lock;
	_Atomic uint32_t refs;
	uint64_t owner; /* under the lock */
	size_t bytes;
	unsigned char data[];
};

/* Holds a reference of its own. */
static struct slot {
	pthread_mutex_t lock;
	struct object *o;
} slots[SLOTS];

struct worker {
	pthread_t thread;
	uint64_t self; /* as it calls itself in marks */
	uint64_t operations, random, sum;
	struct object *held[HELD];
};

static unsigned nworkers = 8;

static void must(int truth)
{
	if (!truth)
		abort();
}

static uint32_t below(struct worker *w, uint32_t n)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (uint32_t)((w->random * 0x2545f4914f6cdd1dull) >> 33) % n;
}

static struct object *object_new(size_t bytes)
{
	struct object *o = malloc(sizeof(*o) + bytes);

	must(o && !pthread_rwlock_init(&o->lock, NULL));
	atomic_init(&o->refs, 1);
	o->owner = 0;
	o->bytes = bytes;
	memset(o->data, (int)bytes, bytes);
	BSCOPE_NEW_SIZED(object, o, bytes);
	return o;
}

static void object_put(struct object *o)
{
	BSCOPE_RELEASE(object, o);
	if (atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) != 1)
		return;
	BSCOPE_DROP(object, o);
	pthread_rwlock_destroy(&o->lock);
	free(o);
}

static void take(struct worker *w, struct slot *s, struct object **to)
{
	pthread_mutex_lock(&s->lock);
	*to = s->o;
	atomic_fetch_add_explicit(&s->o->refs, 1, memory_order_relaxed);
	BSCOPE_RETAIN(object, s->o);
	pthread_mutex_unlock(&s->lock);
	w->sum += (*to)->bytes > 0;
}

static void replace(struct worker *w, struct slot *s)
{
	struct object *o = object_new(16 + below(w, 64)), *old;

	pthread_mutex_lock(&s->lock);
	old = s->o;
	s->o = o;
	pthread_mutex_unlock(&s->lock);
	object_put(old);
}

/* Only while nobody but the slot has it, and nobody can get it. */
static void resize(struct worker *w, struct slot *s)
{
	size_t bytes = 16 + below(w, 4096);
	struct object *o;

	pthread_mutex_lock(&s->lock);
	o = s->o;
	if (atomic_load_explicit(&o->refs, memory_order_acquire) == 1) {
		BSCOPE_RESIZE_BEGIN(object, o);
		o = realloc(o, sizeof(*o) + bytes);
		must(o != NULL);
		o->bytes = bytes;
		memset(o->data, (int)bytes, bytes);
		s->o = o;
		BSCOPE_RESIZE_END(object, o, bytes);
	}
	pthread_mutex_unlock(&s->lock);
}

static void look(struct worker *w, struct object *o)
{
	must(!pthread_rwlock_rdlock(&o->lock));
	BSCOPE_BORROW(object, o, w->self);
	must(o->data[o->bytes - 1] == (unsigned char)o->bytes);
	if (o->owner == w->self)
		BSCOPE_USE(object, o, w->self);
	BSCOPE_UNBORROW(object, o, w->self);
	pthread_rwlock_unlock(&o->lock);
}

static void change(struct worker *w, struct object *o)
{
	must(!pthread_rwlock_wrlock(&o->lock));
	BSCOPE_BORROW_MUT(object, o, w->self);
	memset(o->data, (int)o->bytes, o->bytes);
	BSCOPE_UNBORROW(object, o, w->self);
	pthread_rwlock_unlock(&o->lock);
}

/* Whoever is the owner knows it from the object itself. */
static void pass_on(struct worker *w, struct object *o)
{
	uint64_t to = 1 + below(w, nworkers);

	must(!pthread_rwlock_wrlock(&o->lock));
	BSCOPE_MOVE(object, o, to);
	o->owner = to;
	pthread_rwlock_unlock(&o->lock);
}

static void *work(void *arg)
{
	struct worker *w = arg;

	for (uint64_t i = 0; i < w->operations; i++) {
		struct slot *s = &slots[below(w, SLOTS)];
		struct object **held = &w->held[below(w, HELD)];
		uint32_t what = below(w, 16);

		if (what == 0) {
			replace(w, s);
		} else if (what == 1) {
			resize(w, s);
		} else if (!*held) {
			take(w, s, held);
		} else if (what < 6) {
			look(w, *held);
		} else if (what < 8) {
			change(w, *held);
		} else if (what < 10) {
			pass_on(w, *held);
		} else {
			object_put(*held);
			*held = NULL;
		}
	}
	for (unsigned i = 0; i < HELD; i++)
		if (w->held[i])
			object_put(w->held[i]);
	return NULL;
}

int main(int argc, char **argv)
{
	static struct worker workers[THREADS];
	uint64_t operations = argc > 1 ? strtoull(argv[1], NULL, 10) : 0, sum = 0;
	char line[16];

	if (argc > 2)
		nworkers = (unsigned)strtoul(argv[2], NULL, 10);
	if (!operations || !nworkers || nworkers > THREADS) {
		fprintf(stderr, "usage: %s OPERATIONS [THREADS]\n", argv[0]);
		return 64;
	}
	puts("ready");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	for (unsigned i = 0; i < SLOTS; i++) {
		pthread_mutex_init(&slots[i].lock, NULL);
		slots[i].o = object_new(16);
	}
	for (unsigned i = 0; i < nworkers; i++) {
		workers[i].self = i + 1;
		workers[i].operations = operations / nworkers;
		workers[i].random = (i + 1) * 0x9e3779b97f4a7c15ull;
		must(!pthread_create(&workers[i].thread, NULL, work, &workers[i]));
	}
	for (unsigned i = 0; i < nworkers; i++) {
		pthread_join(workers[i].thread, NULL);
		sum += workers[i].sum;
	}
	for (unsigned i = 0; i < SLOTS; i++)
		object_put(slots[i].o);
	printf("%llu taken\n", (unsigned long long)sum);
	return 0;
}
