/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * objects.c - open addressing with linear probing, objects in the slots themselves.
 *
 * One look-up is one cache miss: no index in front, no pointer behind.  Removal shifts the
 * followers back, so there are no tombstones and a table that has turned over a billion objects
 * is as good as a new one.
 *
 * Memory: slots grow by a quarter when three quarters are used, so a growing table is never
 * less than 60 % full and an object takes at most 32 / 0.6 = 54 bytes; a table that empties
 * shrinks below a fifth.  Capacities are therefore no powers of two; a hash is mapped to a slot by
 * multiplication.
 *
 * Stalls: a table past SPLIT_AT objects is cut into 256 shards by the top bits of the hash, which
 * grow one by one.  With 10 million objects one growth copies 40,000, not all of them.
 *
 * The hash mixes the id with two secret words through two 64x64 -> 128 bit multiplications.
 * The program that chooses the ids cannot know which ones collide.
 */
#include "model/objects.h"

#include <stdlib.h>
#include <string.h>

#define SHARDS	  256u
#define SPLIT_AT  4096u
#define MIN_SLOTS 8u
#define MAX_SLOTS (UINT32_MAX / 2)

static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 p = (unsigned __int128)a * b;

	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static uint64_t hash_of(const struct bs_objects *t, uint32_t klass, uint64_t id)
{
	uint64_t h = fold(id ^ t->seed[0], t->seed[1] + klass * 0x9e3779b97f4a7c15ull);

	return fold(h ^ t->seed[1], 0xd6e8feb86659fd93ull);
}

static struct bs_shard *shard_of(const struct bs_objects *t, uint64_t hash)
{
	return &t->shards[(hash >> 56) & (t->nshards - 1)];
}

/* The top byte chooses the shard; the 32 bits used here are others. */
static uint32_t home_of(uint64_t hash, uint32_t cap)
{
	return (uint32_t)(((hash & UINT32_MAX) * cap) >> 32);
}

void bs_objects_init(struct bs_objects *t, const uint64_t seed[2])
{
	memset(t, 0, sizeof(*t));
	t->seed[0] = seed[0];
	t->seed[1] = seed[1];
}

void bs_objects_clear(struct bs_objects *t)
{
	for (uint32_t i = 0; i < t->nshards; i++)
		free(t->shards[i].slots);
	free(t->shards);
	t->shards = NULL;
	t->nshards = 0;
	t->live = 0;
}

/* The slot of (klass, id), or the empty one where it would go.  There is always an empty one. */
static struct bs_obj *probe(const struct bs_shard *s, uint64_t hash, uint32_t klass, uint64_t id)
{
	uint32_t i = home_of(hash, s->cap);

	for (;;) {
		struct bs_obj *o = &s->slots[i];

		if (!o->klass || (o->id == id && o->klass == klass))
			return o;
		if (++i == s->cap)
			i = 0;
	}
}

static int shard_resize(const struct bs_objects *t, struct bs_shard *s, uint32_t cap)
{
	struct bs_shard next = {.cap = cap, .used = s->used};

	next.slots = calloc(cap, sizeof(*next.slots));
	if (!next.slots)
		return -1;
	for (uint32_t i = 0; i < s->cap; i++) {
		const struct bs_obj *o = &s->slots[i];

		if (o->klass)
			*probe(&next, hash_of(t, o->klass, o->id), o->klass, o->id) = *o;
	}
	free(s->slots);
	*s = next;
	return 0;
}

static bool shard_full(const struct bs_shard *s)
{
	return (uint64_t)(s->used + 1) * 4 > (uint64_t)s->cap * 3;
}

static int shard_grow(const struct bs_objects *t, struct bs_shard *s)
{
	uint32_t cap = s->cap < MIN_SLOTS ? MIN_SLOTS : s->cap + s->cap / 4;

	return cap > MAX_SLOTS ? -1 : shard_resize(t, s, cap);
}

/* One shard becomes SHARDS; all or nothing. */
static int table_split(struct bs_objects *t)
{
	struct bs_objects next = *t;
	uint32_t cap = t->shards[0].used / SHARDS * 3 / 2 + MIN_SLOTS;
	uint64_t pos = 0;
	struct bs_obj *o;

	next.nshards = SHARDS;
	next.shards = calloc(SHARDS, sizeof(*next.shards));
	if (!next.shards)
		return -1;
	for (uint32_t i = 0; i < SHARDS; i++) {
		next.shards[i].slots = calloc(cap, sizeof(struct bs_obj));
		if (!next.shards[i].slots)
			goto fail;
		next.shards[i].cap = cap;
	}
	while ((o = bs_objects_next(t, &pos))) {
		uint64_t hash = hash_of(t, o->klass, o->id);
		struct bs_shard *s = shard_of(&next, hash);

		if (shard_full(s) && shard_grow(&next, s))
			goto fail;
		*probe(s, hash, o->klass, o->id) = *o;
		s->used++;
	}
	free(t->shards[0].slots);
	free(t->shards);
	*t = next;
	return 0;
fail:
	bs_objects_clear(&next);
	return -1;
}

struct bs_obj *bs_objects_find(const struct bs_objects *t, uint32_t klass, uint64_t id)
{
	struct bs_obj *o;
	uint64_t hash;

	if (!t->live)
		return NULL;
	hash = hash_of(t, klass, id);
	if (!shard_of(t, hash)->cap)
		return NULL;
	o = probe(shard_of(t, hash), hash, klass, id);
	return o->klass ? o : NULL;
}

struct bs_obj *bs_objects_put(struct bs_objects *t, uint32_t klass, uint64_t id, bool *found)
{
	uint64_t hash = hash_of(t, klass, id);
	struct bs_shard *s;
	struct bs_obj *o;

	if (!t->shards) {
		t->shards = calloc(1, sizeof(*t->shards));
		if (!t->shards)
			return NULL;
		t->nshards = 1;
	}
	s = shard_of(t, hash);
	if (s->cap) {
		o = probe(s, hash, klass, id);
		*found = o->klass != 0;
		if (*found)
			return o;
	}
	*found = false;
	if (shard_full(s)) {
		/* A split that fails leaves a table that works: it is tried again at next growth.
		 */
		if (t->nshards == 1 && t->live >= SPLIT_AT && !table_split(t))
			s = shard_of(t, hash);
		if (shard_full(s) && shard_grow(t, s))
			return NULL;
	}
	o = probe(s, hash, klass, id);
	memset(o, 0, sizeof(*o));
	o->id = id;
	o->klass = klass;
	s->used++;
	t->live++;
	return o;
}

void bs_objects_remove(struct bs_objects *t, struct bs_obj *obj)
{
	struct bs_shard *s = shard_of(t, hash_of(t, obj->klass, obj->id));
	uint32_t hole = (uint32_t)(obj - s->slots), i = hole;

	/*
	 * An object further on moves into the hole unless its home lies behind the hole: then a
	 * look-up, which starts at home, would no longer reach it.
	 */
	for (;;) {
		uint32_t home, from_home, from_hole;

		if (++i == s->cap)
			i = 0;
		obj = &s->slots[i];
		if (!obj->klass)
			break;
		home = home_of(hash_of(t, obj->klass, obj->id), s->cap);
		from_home = i >= home ? i - home : i + s->cap - home;
		from_hole = i >= hole ? i - hole : i + s->cap - hole;
		if (from_home < from_hole)
			continue;
		s->slots[hole] = *obj;
		hole = i;
	}
	s->slots[hole].klass = 0;
	s->used--;
	t->live--;

	/* Best effort: a table that stays too big is still right. */
	if (s->cap > 8 * MIN_SLOTS && s->used < s->cap / 5)
		shard_resize(t, s, s->used * 5 / 3 + MIN_SLOTS);
}

struct bs_obj *bs_objects_next(const struct bs_objects *t, uint64_t *pos)
{
	uint32_t shard = (uint32_t)(*pos >> 32), slot = (uint32_t)*pos;

	for (; shard < t->nshards; shard++, slot = 0) {
		const struct bs_shard *s = &t->shards[shard];

		for (; slot < s->cap; slot++) {
			if (!s->slots[slot].klass)
				continue;
			*pos = (uint64_t)shard << 32 | (slot + 1);
			return &s->slots[slot];
		}
	}
	*pos = (uint64_t)shard << 32;
	return NULL;
}

size_t bs_objects_memory(const struct bs_objects *t)
{
	size_t sum = t->nshards * sizeof(struct bs_shard);

	for (uint32_t i = 0; i < t->nshards; i++)
		sum += t->shards[i].cap * sizeof(struct bs_obj);
	return sum;
}
