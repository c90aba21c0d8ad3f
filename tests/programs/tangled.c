// SPDX-License-Identifier: GPL-2.0-only
/*
 * tangled.c - a correct program whose objects move to ids that others have just left, in threads
 * that live long and in many that live for a moment: whoever takes the end of one resize for that
 * of another one finds wrong what is right.
 *
 * usage: tangled SECONDS
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <bscope/bscope.h>

enum { IDS = 400, SLOTS = 64, THREADS = 3, MOMENT = 30 };

static struct slot {
	pthread_mutex_t lock;
	uintptr_t id; /* 0: no object */
	unsigned refs;
	uintptr_t owner; /* 0: nobody knows */
} slots[SLOTS];

/* Ids that nobody has; the last one that was given back is the next. */
static pthread_mutex_t ids_lock = PTHREAD_MUTEX_INITIALIZER;
static uintptr_t ids[IDS];
static unsigned nids;

static struct timespec end;
static __thread uintptr_t me;
static __thread uint64_t seed;

static unsigned below(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

static uintptr_t id_take(void)
{
	uintptr_t id;

	pthread_mutex_lock(&ids_lock);
	id = nids ? ids[--nids] : 0;
	pthread_mutex_unlock(&ids_lock);
	return id;
}

static void id_give(uintptr_t id)
{
	pthread_mutex_lock(&ids_lock);
	ids[nids++] = id;
	pthread_mutex_unlock(&ids_lock);
}

static void make(struct slot *s)
{
	uintptr_t id = id_take();

	if (!id)
		return;
	BSCOPE_NEW_SIZED(tangled, id, below(1000));
	s->id = id;
	s->refs = 1;
	s->owner = 0;
}

static void end_of(struct slot *s)
{
	uintptr_t id = s->id;

	for (; s->refs; s->refs--)
		BSCOPE_RELEASE(tangled, id);
	BSCOPE_DROP(tangled, id);
	s->id = 0;
	id_give(id);
}

static void resize(struct slot *s)
{
	uintptr_t from = s->id, to = below(3) ? id_take() : 0;

	BSCOPE_RESIZE_BEGIN(tangled, from);
	if (to) {
		id_give(from);
		s->id = to;
	}
	BSCOPE_RESIZE_END(tangled, s->id, below(1000));
}

static void use(struct slot *s)
{
	BSCOPE_BORROW_MUT(tangled, s->id, me);
	BSCOPE_USE(tangled, s->id, me);
	BSCOPE_UNBORROW(tangled, s->id, me);
	if (s->owner)
		BSCOPE_USE(tangled, s->id, s->owner);
}

static void step(void)
{
	struct slot *s = &slots[below(SLOTS)];

	pthread_mutex_lock(&s->lock);
	if (!s->id) {
		make(s);
	} else {
		switch (below(6)) {
		case 0:
			end_of(s);
			break;
		case 1:
		case 2:
			resize(s);
			break;
		case 3:
			use(s);
			break;
		case 4:
			s->refs++;
			BSCOPE_RETAIN(tangled, s->id);
			break;
		case 5:
			s->owner = 0x70000000u + 16 * below(100);
			BSCOPE_MOVE(tangled, s->id, s->owner);
			break;
		}
	}
	pthread_mutex_unlock(&s->lock);
}

static int over(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec > end.tv_nsec);
}

static void *for_long(void *arg)
{
	me = seed = (uintptr_t)arg;
	while (!over())
		for (int i = 0; i < MOMENT; i++)
			step();
	return NULL;
}

static void *for_a_moment(void *arg)
{
	me = seed = (uintptr_t)arg;
	for (int i = 0; i < MOMENT; i++)
		step();
	return NULL;
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 0;
	pthread_t long_ones[THREADS], one;

	if (!(seconds > 0)) {
		fprintf(stderr, "usage: tangled SECONDS\n");
		return 64;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += (time_t)seconds;
	for (unsigned i = 0; i < SLOTS; i++)
		pthread_mutex_init(&slots[i].lock, NULL);
	for (unsigned i = 0; i < IDS; i++)
		id_give(0x10000 + 16 * i);
	for (uintptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&long_ones[i], NULL, for_long, (void *)(0x1000 + 16 * i)))
			return 1;
	for (uintptr_t n = 0; !over(); n++)
		if (pthread_create(&one, NULL, for_a_moment, (void *)(0x2000 + 16 * (n % 9999))) ||
		    pthread_join(one, NULL))
			return 1;
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(long_ones[i], NULL);
	return 0;
}
