/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * objects.c - open addressing by groups of 16 slots, objects in the slots themselves.
 *
 * Each slot has a tag of one byte: free, or 7 bits of its object's hash.  The tags of a group are
 * compared at once, so that a look-up that finds touches one line of tags and one object, and
 * guesses nothing.  An object that does not fit into its group goes into the next one that has
 * room, and each group that it has passed counts it until it has gone: a look-up ends at a group
 * that nobody has passed, which mostly is the first.
 *
 * Memory: a shard is full when three quarters of its slots are taken; in fuller ones many look-ups
 * have to go on to a second group.  It grows if five eighths are the living's, by a quarter at
 * most, and not so far that they have less than five ninths then.  Else it keeps its size: objects
 * that were dropped stay where they are, so that what is said of them later is known to be wrong,
 * and now those that were dead the last time are forgotten, or the older half of them.  Next to the
 * tags of a group is a bit for each that is dead, and for each that was then, so that mostly no
 * object is looked at for that.  So an object takes at most 34 * 9 / 5 = 61 bytes and what a shard
 * of few groups is rounded up by; a table that empties shrinks below a fifth.  Small tables keep
 * their dead.  Capacities are no powers of two; a hash is mapped to a group by multiplication.
 *
 * No object and no group lies in two cache lines, so that what is fetched ahead is all of it.
 *
 * Stalls: a table past SPLIT_AT objects is cut into SHARDS by the top bits of the hash, which grow
 * one by one.  With 10 million objects one growth copies 80,000, not all of them.
 *
 * The hash (objects.h) mixes the id with two secret words through two 64x64 -> 128 bit
 * multiplications.  The program that chooses the ids cannot know which ones collide.
 */
#include "model/objects.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SHARDS	 128u
#define SPLIT_AT 32768u
#define LINE	 64u /* bytes of a cache's */
/* In a table of so many slots, and in a shard of a split one, the dead are kept. */
#define KEEP_SLOTS	 4096u
#define KEEP_SHARD_SLOTS 64u
/* So many bytes of slots are asked for in large pages. */
#define LARGE (1u << 17)
/* Smaller tables are in a near cache anyway. */
#define FETCH_FROM 4096u
#define MAX_SLOTS  (UINT32_MAX / 2 / BS_GROUP * BS_GROUP)

static size_t shard_bytes(uint32_t cap)
{
	return cap * sizeof(struct bs_obj) + cap / BS_GROUP * sizeof(struct bs_group);
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
	t->nshards = t->mask = 0;
	t->live = 0;
}

/* An object that belongs to another group has gone: the groups that it has passed. */
static void groups_unpass(struct bs_shard *s, const struct bs_group *g, uint64_t hash)
{
	uint32_t group = bs_home_of(hash, s->cap);

	for (; &s->groups[group] != g; group = bs_group_next(s, group))
		s->groups[group].passed--;
}

/* Those of a group's slots are emptied, a bit for each. */
static void slots_leave(const struct bs_objects *t, struct bs_shard *s, struct bs_group *g,
			unsigned leave)
{
	const struct bs_obj *first = &s->slots[(size_t)(g - s->groups) * BS_GROUP];

	for (unsigned m = leave & g->away; m; m &= m - 1) {
		const struct bs_obj *o = &first[__builtin_ctz(m)];

		groups_unpass(s, g, bs_objects_hash(t->seed, o->klass, o->id));
	}
	g->away &= (uint16_t)~leave;
	for (; leave; leave &= leave - 1, s->used--)
		g->tag[__builtin_ctz(leave)] = BS_TAG_FREE;
}

static bool slot_old(const struct bs_shard *s, uint32_t i)
{
	return bs_group_of(s, i)->old >> i % BS_GROUP & 1;
}

/* Does it hold an object, alive or dead? */
static bool slot_used(const struct bs_shard *s, uint32_t i)
{
	return bs_group_of(s, i)->tag[i % BS_GROUP] < BS_TAG_FREE;
}

/*
 * Of a great table each look-up is at a page of its own: large pages save most of the walks through
 * page tables.  To the neighbours in the first and the last page it does no harm.
 */
static struct bs_obj *slots_alloc(uint32_t cap)
{
	size_t bytes = (shard_bytes(cap) + LINE - 1) / LINE * LINE;
	struct bs_obj *slots = aligned_alloc(LINE, bytes);
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)slots & ~(page - 1);

	if (slots && bytes >= LARGE)
		madvise((void *)from, (uintptr_t)slots + bytes - from, MADV_HUGEPAGE);
	return slots;
}

static int shard_init(struct bs_shard *s, uint32_t cap)
{
	if (cap > MAX_SLOTS)
		return -1;
	cap = (cap + BS_GROUP - 1) / BS_GROUP * BS_GROUP;
	*s = (struct bs_shard){.cap = cap};
	s->slots = slots_alloc(cap);
	if (!s->slots)
		return -1;
	s->groups = (struct bs_group *)(void *)(s->slots + cap);
	for (uint32_t i = 0; i < cap; i += BS_GROUP) {
		struct bs_group *g = bs_group_of(s, i);

		memset(g, 0, sizeof(*g));
		memset(g->tag, BS_TAG_FREE, BS_GROUP);
	}
	return 0;
}

static int shard_resize(const struct bs_objects *t, struct bs_shard *s, uint32_t cap)
{
	struct bs_shard next;

	if (shard_init(&next, cap))
		return -1;
	for (uint32_t i = 0; i < s->cap; i++) {
		const struct bs_obj *o = &s->slots[i];
		struct bs_obj *to;

		if (!slot_used(s, i))
			continue;
		to = bs_slot_add(&next, bs_objects_hash(t->seed, o->klass, o->id));
		*to = *o;
		if (o->flags & BS_OBJ_DEAD)
			bs_dead_set(&next, (uint32_t)(to - next.slots), slot_old(s, i));
	}
	free(s->slots);
	*s = next;
	return 0;
}

/* Forgets those who are old, or all who are dead; who is left is old the next time.  How many. */
static uint32_t shard_forget(const struct bs_objects *t, struct bs_shard *s, bool all)
{
	uint32_t used = s->used;

	for (uint32_t i = 0; i < s->cap; i += BS_GROUP) {
		struct bs_group *g = bs_group_of(s, i);
		unsigned gone = all ? g->dead : g->old;

		if (gone)
			slots_leave(t, s, g, gone);
		g->dead &= (uint16_t)~gone;
		g->old = g->dead;
	}
	used -= s->used;
	s->dead -= used;
	return used;
}

/*
 * Of those who are old only they remain so who were dropped in the first half of the time in which
 * all the dead were.
 */
static void shard_age(struct bs_shard *s)
{
	uint64_t first = UINT64_MAX, last = 0;

	for (uint32_t i = 0; i < s->cap; i += BS_GROUP) {
		for (unsigned m = bs_group_of(s, i)->dead; m; m &= m - 1) {
			uint64_t ns = s->slots[i + (uint32_t)__builtin_ctz(m)].birth_ns;

			first = ns < first ? ns : first;
			last = ns > last ? ns : last;
		}
	}
	for (uint32_t i = 0; i < s->cap; i += BS_GROUP) {
		struct bs_group *g = bs_group_of(s, i);

		for (unsigned m = g->old; m; m &= m - 1) {
			unsigned at = (unsigned)__builtin_ctz(m);

			if (s->slots[i + at].birth_ns > first + (last - first) / 2)
				g->old &= (uint16_t) ~(1u << at);
		}
	}
}

static uint32_t shard_old(const struct bs_shard *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->cap; i += BS_GROUP)
		n += (uint32_t)__builtin_popcount(bs_group_of(s, i)->old);
	return n;
}

static uint32_t keep_slots(const struct bs_objects *t)
{
	return t->nshards > 1 ? KEEP_SHARD_SLOTS : KEEP_SLOTS;
}

/* How many slots one that is full of the living is to have: at least a group more. */
static uint32_t shard_grown(const struct bs_shard *s)
{
	uint32_t cap = (s->used - s->dead) / 5 * 9, most = s->cap + s->cap / 4;

	cap = (cap < most ? cap : most) / BS_GROUP * BS_GROUP;
	return cap > s->cap ? cap : s->cap + BS_GROUP;
}

/*
 * Room for one more.  If it is not the living who fill it, as large as it is: without some of the
 * dead.
 */
static int shard_grow(const struct bs_objects *t, struct bs_shard *s)
{
	if (s->cap < keep_slots(t))
		return shard_resize(t, s, s->cap + s->cap / 4 + 1);
	if (s->used - s->dead >= s->cap / 8 * 5)
		return shard_resize(t, s, shard_grown(s));
	while (s->used >= s->cap / 16 * 11) {
		/* Mostly they are a half or so. */
		if (shard_old(s) > s->dead / 4 * 3)
			shard_age(s);
		shard_forget(t, s, false);
	}
	return 0;
}

/* One shard becomes SHARDS; all or nothing. */
static int table_split(struct bs_objects *t)
{
	uint32_t cap = t->shards[0].used / SHARDS * 3 / 2 + BS_GROUP;
	struct bs_objects next = *t;
	uint64_t pos = 0;
	struct bs_obj *o;

	next.nshards = SHARDS;
	next.mask = SHARDS - 1;
	next.shards = calloc(SHARDS, sizeof(*next.shards));
	if (!next.shards)
		return -1;
	for (uint32_t i = 0; i < SHARDS; i++)
		if (shard_init(&next.shards[i], cap))
			goto fail;
	while ((o = bs_objects_next(t, &pos))) {
		uint64_t hash = bs_objects_hash(t->seed, o->klass, o->id);
		struct bs_shard *s = bs_shard_of(&next, hash);

		if (bs_shard_full(s) && shard_grow(&next, s))
			goto fail;
		*bs_slot_add(s, hash) = *o;
	}
	free(t->shards[0].slots);
	free(t->shards);
	*t = next;
	return 0;
fail:
	bs_objects_clear(&next);
	return -1;
}

struct bs_shard *bs_objects_grow(struct bs_objects *t, uint64_t hash)
{
	if (!t->shards) {
		t->shards = calloc(1, sizeof(*t->shards));
		if (!t->shards)
			return NULL;
		t->nshards = 1;
	}
	/* A split that fails leaves a table that works: it is tried again at next growth. */
	if (t->nshards == 1 && t->live >= SPLIT_AT)
		table_split(t);
	if (bs_shard_full(bs_shard_of(t, hash)) && shard_grow(t, bs_shard_of(t, hash)))
		return NULL;
	return bs_shard_of(t, hash);
}

/* Best effort: a table that stays too big is still right. */
void bs_objects_shrink(struct bs_objects *t, struct bs_shard *s)
{
	uint32_t live = s->used - s->dead;

	if (s->cap <= keep_slots(t))
		return;
	if (s->dead > live)
		shard_forget(t, s, true);
	shard_resize(t, s, s->used * 4 / 3 + BS_GROUP);
}

bool bs_objects_take(struct bs_objects *t, uint64_t hash, uint32_t klass, uint64_t id,
		     struct bs_obj *out)
{
	const struct bs_obj *o = bs_objects_find(t, hash, klass, id);
	struct bs_shard *s;
	uint32_t i;

	if (!o || o->flags & BS_OBJ_DEAD)
		return false;
	*out = *o;
	s = bs_shard_of(t, hash);
	i = (uint32_t)(o - s->slots);
	slots_leave(t, s, bs_group_of(s, i), 1u << i % BS_GROUP);
	t->live--;
	if (s->used - s->dead < s->cap / 5)
		bs_objects_shrink(t, s);
	return true;
}

void bs_objects_fetch_tags(const struct bs_objects *t, const uint64_t *hash, size_t n)
{
	if (t->live < FETCH_FROM)
		return;
	for (size_t i = 0; i < n; i++) {
		const struct bs_shard *s = bs_shard_of(t, hash[i]);

		__builtin_prefetch(&s->groups[bs_home_of(hash[i], s->cap)], 1);
	}
}

void bs_objects_fetch(const struct bs_objects *t, const uint64_t *hash, size_t n)
{
	if (t->live < FETCH_FROM)
		return;
	for (size_t i = 0; i < n; i++) {
		const struct bs_shard *s = bs_shard_of(t, hash[i]);
		uint32_t home = bs_home_of(hash[i], s->cap);
		unsigned m, v;

		if (!s->cap)
			continue;
		/* The object itself, or where it would go; which of them, no branch could guess. */
		m = bs_group_match(&s->groups[home], bs_tag_of(hash[i]));
		v = bs_group_vacant(&s->groups[home]);
		m = m ? m : v | 1u << (BS_GROUP - 1);
		__builtin_prefetch(&s->slots[home * BS_GROUP + (uint32_t)__builtin_ctz(m)], 1);
	}
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
