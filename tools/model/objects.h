/* SPDX-License-Identifier: GPL-2.0-only */
/* objects.h - the live objects of one process: a compact hash table, the hottest of bscope. */
#ifndef BS_MODEL_OBJECTS_H
#define BS_MODEL_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BS_OBJ_MAX_BYTES ((UINT64_C(1) << 47) - 1)

/* struct bs_obj.flags */
#define BS_OBJ_ADOPTED 0x01u /* known since a resize: its birth was not seen */
#define BS_OBJ_COUNTED 0x02u /* a retain or release was seen */
#define BS_OBJ_WHOLE   0x02u /* dead: all of its life was seen */
#define BS_OBJ_UNSURE  0x04u /* of its count: more than fits, or not all its own; of its borrows */
#define BS_OBJ_MOVED   0x08u /* it has an owner of its own */
#define BS_OBJ_DEAD    0x10u /* dropped: a struct bs_dead */
#define BS_OBJ_TWIN    0x20u /* alive: made when another with its id was */
#define BS_OBJ_DOUBT   0x80u /* alive or dead: of marks too close to each other to tell */
#define BS_OBJ_FRESH   0x40u /* its id was another's a moment before its birth */

#define BS_OBJ_MAX_REFS INT16_MAX

/*
 * One live object, or one that was dropped and whose place nobody has needed since: so many of
 * those are kept as there is room for.
 */
struct bs_obj {
	uint64_t id;
	uint64_t birth_ns; /* of its new, or of the resize that made it known; dead: of its drop */
	uint64_t bytes : 47;  /* dead: the thread of its drop */
	uint64_t resized : 1; /* it has not been all the time where it is */
	int64_t refs : 16;    /* retains - releases since */
	uint32_t klass : 24;
	uint32_t flags : 8;
	uint32_t origin; /* dead: the place of its drop */
};
_Static_assert(sizeof(struct bs_obj) == 32, "two objects to a cache line");

struct bs_shard {
	struct bs_obj *slots;	 /* cap of them */
	struct bs_group *groups; /* behind the slots, one for each 16: objects_slots.h */
	uint32_t cap;
	uint32_t used, dead; /* objects; of these, dead */
};

struct bs_objects {
	struct bs_shard *shards; /* NULL at first */
	uint32_t nshards, mask;	 /* a power of two, and that less one */
	size_t live;
	uint64_t seed[2];
};

/*
 * seed: secret, so that nobody can choose ids that collide.  Allocates nothing yet.
 */
void bs_objects_init(struct bs_objects *t, const uint64_t seed[2]);
/* Forgets all objects and gives their memory back; the table can be used again. */
void bs_objects_clear(struct bs_objects *t);

/* What places (klass, id) in a table with that seed; asked for once, used often. */
static inline uint64_t bs_objects_hash(const uint64_t seed[2], uint32_t klass, uint64_t id)
{
	unsigned __int128 p = (unsigned __int128)(id ^ seed[0]) *
			      (seed[1] + klass * UINT64_C(0x9e3779b97f4a7c15));
	uint64_t h = (uint64_t)p ^ (uint64_t)(p >> 64);

	p = (unsigned __int128)(h ^ seed[1]) * UINT64_C(0xd6e8feb86659fd93);
	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

/*
 * hash: that of klass, id and the table's seed.  Pointers to objects are valid until the next put,
 * take, bury or clear.  What is found may be dead.
 */
static inline struct bs_obj *bs_objects_find(const struct bs_objects *t, uint64_t hash,
					     uint32_t klass, uint64_t id);
/*
 * The object (klass, id); when it is not there (*found is false) it is made: id and klass are
 * set, the rest is 0.  NULL when out of memory.
 */
static inline struct bs_obj *bs_objects_put(struct bs_objects *t, uint64_t hash, uint32_t klass,
					    uint64_t id, bool *found);
/* A dead object lives again, under the same id; all else is 0. */
static inline void bs_objects_revive(struct bs_objects *t, uint64_t hash, struct bs_obj *obj);
/* An object that is alive dies: dropped at that place by that thread.  flags: of a dead one. */
static inline void bs_objects_bury(struct bs_objects *t, uint64_t hash, struct bs_obj *obj,
				   uint32_t place, uint32_t tid, uint64_t ts_ns);
/* Removes the object (klass, id), alive, and says what it was in *out; false if it is not. */
bool bs_objects_take(struct bs_objects *t, uint64_t hash, uint32_t klass, uint64_t id,
		     struct bs_obj *out);

/*
 * For those who know what they will ask for: has the memory fetched that finds, puts or takes of so
 * many will look at, in two steps, some operations apart.
 */
void bs_objects_fetch_tags(const struct bs_objects *t, const uint64_t *hash, size_t n);
void bs_objects_fetch(const struct bs_objects *t, const uint64_t *hash, size_t n);

/* All objects alive in no order: start with *pos = 0, NULL at the end.  No changes meanwhile. */
struct bs_obj *bs_objects_next(const struct bs_objects *t, uint64_t *pos);

/* Bytes of memory in use. */
size_t bs_objects_memory(const struct bs_objects *t);

/*
 * For objects_slots.h alone.  Room for one more in a table that is new, or full where that hash
 * goes: its shard, NULL when out of memory.  And less room in a shard that is mostly empty.
 */
struct bs_shard *bs_objects_grow(struct bs_objects *t, uint64_t hash);
void bs_objects_shrink(struct bs_objects *t, struct bs_shard *s);

#include "model/objects_slots.h"

#endif
