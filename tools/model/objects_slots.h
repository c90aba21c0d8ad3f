/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * objects_slots.h - looking up objects and changing them, inlined into what is done for each event;
 * see objects.c for what is where and why.  For objects.h alone.
 */
#ifndef BS_MODEL_OBJECTS_SLOTS_H
#define BS_MODEL_OBJECTS_SLOTS_H

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define BS_GROUP 16u

/* Tags with the top bit clear are of objects. */
#define BS_TAG_FREE 0x80u

/* The top byte chooses the shard, the next seven bits are the tag, the low 32 choose the group. */
static inline struct bs_shard *bs_shard_of(const struct bs_objects *t, uint64_t hash)
{
	return &t->shards[hash >> 56 & t->mask];
}

static inline uint8_t bs_tag_of(uint64_t hash)
{
	return hash >> 49 & 0x7f;
}

/* The number of the group. */
static inline uint32_t bs_home_of(uint64_t hash, uint32_t cap)
{
	return (uint32_t)(((hash & UINT32_MAX) * (cap / BS_GROUP)) >> 32);
}

static inline uint32_t bs_group_next(const struct bs_shard *s, uint32_t group)
{
	return group + 1 == s->cap / BS_GROUP ? 0 : group + 1;
}

struct bs_group {
	uint8_t tag[BS_GROUP];
	uint16_t dead; /* which of its objects are, a bit for each */
	uint16_t old;  /* which of these were when some were last forgotten */
	uint16_t away; /* which of its objects did not fit where they belong */
	uint16_t rest;
	uint32_t passed; /* so many objects belong here or before, and are behind it */
	uint32_t more;
};
_Static_assert(sizeof(struct bs_group) == 32, "two groups to a cache line");

static inline struct bs_group *bs_group_of(const struct bs_shard *s, uint32_t slot)
{
	return &s->groups[slot / BS_GROUP];
}

static inline void bs_dead_set(struct bs_shard *s, uint32_t i, bool old)
{
	struct bs_group *g = bs_group_of(s, i);

	g->dead |= (uint16_t)(1u << i % BS_GROUP);
	g->old |= (uint16_t)((unsigned)old << i % BS_GROUP);
	s->dead++;
}

static inline void bs_dead_clear(struct bs_shard *s, uint32_t i)
{
	struct bs_group *g = bs_group_of(s, i);

	g->dead &= (uint16_t) ~(1u << i % BS_GROUP);
	g->old &= g->dead;
	s->dead--;
}

/* Which tags of a group are that one: a bit for each. */
static inline unsigned bs_group_match(const struct bs_group *g, uint8_t tag)
{
#if defined(__SSE2__)
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)g->tag);

	return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8((char)tag)));
#else
	unsigned bits = 0;

	for (unsigned i = 0; i < BS_GROUP; i++)
		bits |= (unsigned)(g->tag[i] == tag) << i;
	return bits;
#endif
}

/* Which slots of a group hold no object. */
static inline unsigned bs_group_vacant(const struct bs_group *g)
{
#if defined(__SSE2__)
	return (unsigned)_mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)g->tag));
#else
	unsigned bits = 0;

	for (unsigned i = 0; i < BS_GROUP; i++)
		bits |= (unsigned)(g->tag[i] >> 7) << i;
	return bits;
#endif
}

/* That of (klass, id), NULL if it is not there. */
static inline __attribute__((always_inline)) struct bs_obj *
bs_slot_find(const struct bs_shard *s, uint64_t hash, uint32_t klass, uint64_t id)
{
	uint32_t home = bs_home_of(hash, s->cap), group = home;

	do {
		const struct bs_group *g = &s->groups[group];

		for (unsigned m = bs_group_match(g, bs_tag_of(hash)); m; m &= m - 1) {
			struct bs_obj *o = &s->slots[group * BS_GROUP + (uint32_t)__builtin_ctz(m)];

			if (o->id == id && o->klass == klass)
				return o;
		}
		if (!g->passed)
			return NULL;
		group = bs_group_next(s, group);
		/* In a table of few groups each may have been passed. */
	} while (group != home);
	return NULL;
}

/* A slot for an object that is not there.  There is always a free one. */
static inline struct bs_obj *bs_slot_add(struct bs_shard *s, uint64_t hash)
{
	uint32_t group = bs_home_of(hash, s->cap);
	struct bs_group *g = &s->groups[group];
	unsigned m, i, away = 0;

	while (!(m = bs_group_vacant(g))) {
		g->passed++;
		away = 1;
		group = bs_group_next(s, group);
		g = &s->groups[group];
	}
	i = (unsigned)__builtin_ctz(m);
	g->tag[i] = bs_tag_of(hash);
	g->away |= (uint16_t)(away << i);
	s->used++;
	return &s->slots[group * BS_GROUP + i];
}

static inline bool bs_shard_full(const struct bs_shard *s)
{
	return (uint64_t)(s->used + 1) * 4 > (uint64_t)s->cap * 3;
}

static inline struct bs_obj *bs_objects_find(const struct bs_objects *t, uint64_t hash,
					     uint32_t klass, uint64_t id)
{
	const struct bs_shard *s;

	if (!t->shards)
		return NULL;
	s = bs_shard_of(t, hash);
	return s->used ? bs_slot_find(s, hash, klass, id) : NULL;
}

static inline __attribute__((always_inline)) struct bs_obj *
bs_objects_put(struct bs_objects *t, uint64_t hash, uint32_t klass, uint64_t id, bool *found)
{
	struct bs_shard *s = t->shards ? bs_shard_of(t, hash) : NULL;
	struct bs_obj *o = s && s->used ? bs_slot_find(s, hash, klass, id) : NULL;

	*found = o;
	if (o)
		return o;
	if (!s || bs_shard_full(s)) {
		s = bs_objects_grow(t, hash);
		if (!s)
			return NULL;
	}
	o = bs_slot_add(s, hash);
	*o = (struct bs_obj){.id = id, .klass = klass};
	t->live++;
	return o;
}

static inline void bs_objects_revive(struct bs_objects *t, uint64_t hash, struct bs_obj *obj)
{
	struct bs_shard *s = bs_shard_of(t, hash);

	*obj = (struct bs_obj){.id = obj->id, .klass = obj->klass};
	bs_dead_clear(s, (uint32_t)(obj - s->slots));
	t->live++;
}

static inline void bs_objects_bury(struct bs_objects *t, uint64_t hash, struct bs_obj *obj,
				   uint32_t place, uint32_t tid, uint64_t ts_ns)
{
	struct bs_shard *s = bs_shard_of(t, hash);

	*obj = (struct bs_obj){
		.id = obj->id,
		.birth_ns = ts_ns,
		.bytes = tid,
		.klass = obj->klass,
		.flags = obj->flags | BS_OBJ_DEAD,
		.origin = place,
	};
	bs_dead_set(s, (uint32_t)(obj - s->slots), false);
	t->live--;
	if (s->used - s->dead < s->cap / 5)
		bs_objects_shrink(t, s);
}

#endif
