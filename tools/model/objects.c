/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * objects.c - open addressing by groups of 16 slots, objects in the slots themselves.
 *
 * Each slot has a tag of one byte: free, left, or 7 bits of its object's hash.  The tags of a group
 * are compared at once, so that a look-up that finds touches one line of tags and one object, and
 * guesses nothing.  An object that does not fit into its group goes into the next one that has
 * room; a look-up goes on until a group has a free slot.  A slot that is emptied becomes free if
 * its group has a free one already (nobody has gone on from here), else it is left: used for the
 * next object that comes by, but no end of a look-up.
 *
 * Memory: slots grow by a quarter when seven eighths are taken.  Objects that were dropped stay
 * where they are, so that what is said of them later is known to be wrong; when more than an eighth
 * of the slots is theirs, the older half is forgotten instead.  Next to the tags of a group is a
 * bit for each that is dead, so that the living are not looked at for that.  So a growing table is
 * never less than 60 % full of the living, and an object takes at most 33.2 / 0.6 = 56 bytes; a
 * table that empties shrinks below a fifth.  Small tables keep their dead.  Capacities are no
 * powers of two; a hash is mapped to a group by multiplication.
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
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define SHARDS	 256u
#define SPLIT_AT 4096u
#define GROUP	 16u
/* In a table of so many slots, and in a shard of a split one, the dead are kept. */
#define KEEP_SLOTS	 4096u
#define KEEP_SHARD_SLOTS 64u
/* Smaller tables are in a near cache anyway. */
#define FETCH_FROM 4096u
#define MAX_SLOTS  (UINT32_MAX / 2 / GROUP * GROUP)

/* Tags with the top bit clear are of objects. */
#define TAG_FREE 0x80u
#define TAG_LEFT 0xfeu

static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 p = (unsigned __int128)a * b;

	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

uint64_t bs_objects_hash(const uint64_t seed[2], uint32_t klass, uint64_t id)
{
	uint64_t h = fold(id ^ seed[0], seed[1] + klass * 0x9e3779b97f4a7c15ull);

	return fold(h ^ seed[1], 0xd6e8feb86659fd93ull);
}

/* The top byte chooses the shard, the next seven bits are the tag, the low 32 choose the group. */
static struct bs_shard *shard_of(const struct bs_objects *t, uint64_t hash)
{
	return &t->shards[(hash >> 56) & (t->nshards - 1)];
}

static uint8_t tag_of(uint64_t hash)
{
	return hash >> 49 & 0x7f;
}

/* The number of the group. */
static uint32_t home_of(uint64_t hash, uint32_t cap)
{
	return (uint32_t)(((hash & UINT32_MAX) * (cap / GROUP)) >> 32);
}

static uint32_t group_next(const struct bs_shard *s, uint32_t group)
{
	return group + 1 == s->cap / GROUP ? 0 : group + 1;
}

struct group {
	uint8_t tag[GROUP];
	uint16_t dead; /* which of its objects are, a bit for each */
};

static struct group *groups_of(const struct bs_shard *s)
{
	return (struct group *)(void *)(s->slots + s->cap);
}

static struct group *group_of(const struct bs_shard *s, uint32_t slot)
{
	return &groups_of(s)[slot / GROUP];
}

static size_t shard_bytes(uint32_t cap)
{
	return cap * sizeof(struct bs_obj) + cap / GROUP * sizeof(struct group);
}

static void dead_set(struct bs_shard *s, uint32_t i)
{
	group_of(s, i)->dead |= (uint16_t)(1u << i % GROUP);
	s->dead++;
}

static void dead_clear(struct bs_shard *s, uint32_t i)
{
	group_of(s, i)->dead &= (uint16_t) ~(1u << i % GROUP);
	s->dead--;
}

/* Which tags of a group are that one: a bit for each. */
static unsigned match(const struct group *g, uint8_t tag)
{
#if defined(__SSE2__)
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)g->tag);

	return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8((char)tag)));
#else
	unsigned bits = 0;

	for (unsigned i = 0; i < GROUP; i++)
		bits |= (unsigned)(g->tag[i] == tag) << i;
	return bits;
#endif
}

/* Which slots of a group hold no object. */
static unsigned vacant(const struct group *g)
{
#if defined(__SSE2__)
	return (unsigned)_mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)g->tag));
#else
	unsigned bits = 0;

	for (unsigned i = 0; i < GROUP; i++)
		bits |= (unsigned)(g->tag[i] >> 7) << i;
	return bits;
#endif
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

/* The slot of (klass, id), UINT32_MAX if it is not there.  There is always a free one. */
static uint32_t slot_find(const struct bs_shard *s, uint64_t hash, uint32_t klass, uint64_t id)
{
	uint32_t group = home_of(hash, s->cap);

	for (;; group = group_next(s, group)) {
		const struct group *g = &groups_of(s)[group];

		for (unsigned m = match(g, tag_of(hash)); m; m &= m - 1) {
			uint32_t i = group * GROUP + (uint32_t)__builtin_ctz(m);

			if (s->slots[i].id == id && s->slots[i].klass == klass)
				return i;
		}
		if (match(g, TAG_FREE))
			return UINT32_MAX;
	}
}

/* A slot for an object that is not there. */
static struct bs_obj *slot_add(struct bs_shard *s, uint64_t hash)
{
	uint32_t group = home_of(hash, s->cap);
	unsigned m, i;

	while (!(m = vacant(&groups_of(s)[group])))
		group = group_next(s, group);
	i = (unsigned)__builtin_ctz(m);
	s->taken += groups_of(s)[group].tag[i] == TAG_FREE;
	s->used++;
	groups_of(s)[group].tag[i] = tag_of(hash);
	return &s->slots[group * GROUP + i];
}

static void slot_leave(struct bs_shard *s, uint32_t i)
{
	struct group *g = group_of(s, i);
	bool ends = match(g, TAG_FREE);

	g->tag[i % GROUP] = ends ? TAG_FREE : TAG_LEFT;
	s->taken -= ends;
	s->used--;
}

/* Does it hold an object, alive or dead? */
static bool slot_used(const struct bs_shard *s, uint32_t i)
{
	return group_of(s, i)->tag[i % GROUP] < TAG_FREE;
}

static int shard_init(struct bs_shard *s, uint32_t cap)
{
	if (cap > MAX_SLOTS)
		return -1;
	cap = (cap + GROUP - 1) / GROUP * GROUP;
	*s = (struct bs_shard){.cap = cap};
	s->slots = malloc(shard_bytes(cap));
	if (!s->slots)
		return -1;
	for (uint32_t i = 0; i < cap; i += GROUP) {
		memset(group_of(s, i)->tag, TAG_FREE, GROUP);
		group_of(s, i)->dead = 0;
	}
	return 0;
}

static int shard_resize(const struct bs_objects *t, struct bs_shard *s, uint32_t cap)
{
	struct bs_shard next;

	if (shard_init(&next, cap))
		return -1;
	next.kept_ns = s->kept_ns;
	for (uint32_t i = 0; i < s->cap; i++) {
		const struct bs_obj *o = &s->slots[i];
		struct bs_obj *to;

		if (!slot_used(s, i))
			continue;
		to = slot_add(&next, bs_objects_hash(t->seed, o->klass, o->id));
		*to = *o;
		if (o->flags & BS_OBJ_DEAD)
			dead_set(&next, (uint32_t)(to - next.slots));
	}
	free(s->slots);
	*s = next;
	return 0;
}

/* Forgets who was dropped before since_ns. */
static void shard_forget(struct bs_shard *s, uint64_t since_ns)
{
	for (uint32_t group = 0; group < s->cap; group += GROUP) {
		for (unsigned m = group_of(s, group)->dead; m; m &= m - 1) {
			uint32_t i = group + (uint32_t)__builtin_ctz(m);

			if (s->slots[i].birth_ns >= since_ns)
				continue;
			slot_leave(s, i);
			dead_clear(s, i);
		}
	}
	s->kept_ns = since_ns;
}

static bool shard_full(const struct bs_shard *s)
{
	return (uint64_t)(s->taken + 1) * 8 > (uint64_t)s->cap * 7;
}

static uint32_t keep_slots(const struct bs_objects *t)
{
	return t->nshards > 1 ? KEEP_SHARD_SLOTS : KEEP_SLOTS;
}

/* Room for one more; or, if what fills it is slots that were left, as large as it is. */
static int shard_grow(const struct bs_objects *t, struct bs_shard *s)
{
	uint32_t cap;

	if (s->cap >= keep_slots(t) && s->dead > s->cap / 8) {
		shard_forget(s, s->kept_ns + (t->latest_ns - s->kept_ns) / 2);
		if (s->dead > s->cap / 8)
			shard_forget(s, t->latest_ns + 1);
	}
	cap = s->cap - s->cap / 4 > s->used ? s->cap : s->cap + s->cap / 4;
	return shard_full(s) ? shard_resize(t, s, cap + !cap) : 0;
}

/* One shard becomes SHARDS; all or nothing. */
static int table_split(struct bs_objects *t)
{
	uint32_t cap = t->shards[0].used / SHARDS * 3 / 2 + GROUP;
	struct bs_objects next = *t;
	uint64_t pos = 0;
	struct bs_obj *o;

	next.nshards = SHARDS;
	next.shards = calloc(SHARDS, sizeof(*next.shards));
	if (!next.shards)
		return -1;
	for (uint32_t i = 0; i < SHARDS; i++)
		if (shard_init(&next.shards[i], cap))
			goto fail;
	while ((o = bs_objects_next(t, &pos))) {
		uint64_t hash = bs_objects_hash(t->seed, o->klass, o->id);
		struct bs_shard *s = shard_of(&next, hash);

		if (shard_full(s) && shard_grow(&next, s))
			goto fail;
		*slot_add(s, hash) = *o;
	}
	for (uint32_t i = 0; i < SHARDS; i++)
		next.shards[i].kept_ns = next.latest_ns;
	free(t->shards[0].slots);
	free(t->shards);
	*t = next;
	return 0;
fail:
	bs_objects_clear(&next);
	return -1;
}

struct bs_obj *bs_objects_find(const struct bs_objects *t, uint64_t hash, uint32_t klass,
			       uint64_t id)
{
	const struct bs_shard *s;
	uint32_t i;

	if (!t->nshards)
		return NULL;
	s = shard_of(t, hash);
	i = s->used ? slot_find(s, hash, klass, id) : UINT32_MAX;
	return i == UINT32_MAX ? NULL : &s->slots[i];
}

struct bs_obj *bs_objects_put(struct bs_objects *t, uint64_t hash, uint32_t klass, uint64_t id,
			      bool *found)
{
	struct bs_shard *s;
	struct bs_obj *o;
	uint32_t i;

	if (!t->shards) {
		t->shards = calloc(1, sizeof(*t->shards));
		if (!t->shards)
			return NULL;
		t->nshards = 1;
	}
	s = shard_of(t, hash);
	i = s->used ? slot_find(s, hash, klass, id) : UINT32_MAX;
	*found = i != UINT32_MAX;
	if (*found)
		return &s->slots[i];
	if (shard_full(s)) {
		/* A split that fails leaves a table that works: it is tried again at next growth.
		 */
		if (t->nshards == 1 && t->live >= SPLIT_AT && !table_split(t))
			s = shard_of(t, hash);
		if (shard_full(s) && shard_grow(t, s))
			return NULL;
	}
	o = slot_add(s, hash);
	*o = (struct bs_obj){.id = id, .klass = klass};
	t->live++;
	return o;
}

void bs_objects_revive(struct bs_objects *t, uint64_t hash, struct bs_obj *obj)
{
	struct bs_shard *s = shard_of(t, hash);

	*obj = (struct bs_obj){.id = obj->id, .klass = obj->klass};
	dead_clear(s, (uint32_t)(obj - s->slots));
	t->live++;
}

/* Best effort: a table that stays too big is still right. */
static void shard_shrink(struct bs_objects *t, struct bs_shard *s)
{
	uint32_t live = s->used - s->dead;

	if (s->cap <= keep_slots(t) || live >= s->cap / 5)
		return;
	if (s->dead > live)
		shard_forget(s, t->latest_ns + 1);
	shard_resize(t, s, s->used * 4 / 3 + GROUP);
}

void bs_objects_bury(struct bs_objects *t, uint64_t hash, struct bs_obj *obj, uint32_t place,
		     uint32_t tid, uint64_t ts_ns)
{
	struct bs_shard *s = shard_of(t, hash);

	obj->flags |= BS_OBJ_DEAD;
	obj->birth_ns = ts_ns;
	obj->bytes = tid;
	obj->refs = 0;
	obj->origin = place;
	if (ts_ns > t->latest_ns)
		t->latest_ns = ts_ns;
	if (!s->kept_ns)
		s->kept_ns = ts_ns;
	dead_set(s, (uint32_t)(obj - s->slots));
	t->live--;
	shard_shrink(t, s);
}

bool bs_objects_take(struct bs_objects *t, uint64_t hash, uint32_t klass, uint64_t id,
		     struct bs_obj *out)
{
	struct bs_shard *s;
	uint32_t i;

	if (!t->live)
		return false;
	s = shard_of(t, hash);
	i = s->used ? slot_find(s, hash, klass, id) : UINT32_MAX;
	if (i == UINT32_MAX || s->slots[i].flags & BS_OBJ_DEAD)
		return false;
	*out = s->slots[i];
	slot_leave(s, i);
	t->live--;
	shard_shrink(t, s);
	return true;
}

void bs_objects_fetch_tags(const struct bs_objects *t, uint64_t hash)
{
	const struct bs_shard *s;

	if (t->live < FETCH_FROM)
		return;
	s = shard_of(t, hash);
	__builtin_prefetch(&groups_of(s)[home_of(hash, s->cap)], 1);
}

void bs_objects_fetch(const struct bs_objects *t, uint64_t hash)
{
	const struct bs_shard *s;
	uint32_t home;
	unsigned m, v;

	if (t->live < FETCH_FROM)
		return;
	s = shard_of(t, hash);
	if (!s->cap)
		return;
	home = home_of(hash, s->cap);
	/* The object itself, or where it would go; which of them, no branch could guess. */
	m = match(&groups_of(s)[home], tag_of(hash));
	v = vacant(&groups_of(s)[home]);
	m = m ? m : v | 1u << (GROUP - 1);
	__builtin_prefetch(&s->slots[home * GROUP + (uint32_t)__builtin_ctz(m)], 1);
}

struct bs_obj *bs_objects_next(const struct bs_objects *t, uint64_t *pos)
{
	uint32_t shard = (uint32_t)(*pos >> 32), slot = (uint32_t)*pos;

	for (; shard < t->nshards; shard++, slot = 0) {
		const struct bs_shard *s = &t->shards[shard];

		for (; slot < s->cap; slot++) {
			if (!slot_used(s, slot) || s->slots[slot].flags & BS_OBJ_DEAD)
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
		sum += shard_bytes(t->shards[i].cap);
	return sum;
}
