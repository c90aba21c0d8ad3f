/* SPDX-License-Identifier: GPL-2.0-only */
/* objects.h - the live objects of one process: a compact hash table, the hottest of bscope. */
#ifndef BS_MODEL_OBJECTS_H
#define BS_MODEL_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BS_OBJ_MAX_BYTES ((UINT64_C(1) << 56) - 1)

/* struct bs_obj.flags */
#define BS_OBJ_ADOPTED 0x01u /* known since a resize: its birth was not seen */

/* One live object. */
struct bs_obj {
	uint64_t id;
	uint64_t birth_ns; /* of its new, or of the resize that made it known */
	uint64_t bytes : 56;
	uint64_t flags : 8;
	uint32_t klass;
	uint32_t origin;
};
_Static_assert(sizeof(struct bs_obj) == 32, "two objects to a cache line");

struct bs_shard {
	struct bs_obj *slots; /* cap of them; behind them a tag for each */
	uint32_t cap;	      /* a multiple of 16 */
	uint32_t used;	      /* objects */
	uint32_t taken;	      /* and slots that are not to be counted as free */
};

struct bs_objects {
	struct bs_shard *shards;
	uint32_t nshards;
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
uint64_t bs_objects_hash(const uint64_t seed[2], uint32_t klass, uint64_t id);

/*
 * hash: that of klass, id and the table's seed.  Pointers to objects are valid until the next put,
 * take or clear.
 */
struct bs_obj *bs_objects_find(const struct bs_objects *t, uint64_t hash, uint32_t klass,
			       uint64_t id);
/*
 * The object (klass, id); when it is not there (*found is false) it is made: id and klass are
 * set, the rest is 0.  NULL when out of memory.
 */
struct bs_obj *bs_objects_put(struct bs_objects *t, uint64_t hash, uint32_t klass, uint64_t id,
			      bool *found);
/* Removes the object (klass, id) and says what it was in *out; false if it is not there. */
bool bs_objects_take(struct bs_objects *t, uint64_t hash, uint32_t klass, uint64_t id,
		     struct bs_obj *out);

/*
 * For those who know what they will ask for: has the memory fetched that a find, put or take will
 * look at, in two steps, some operations apart.
 */
void bs_objects_fetch_tags(const struct bs_objects *t, uint64_t hash);
void bs_objects_fetch(const struct bs_objects *t, uint64_t hash);

/* All objects in no order: start with *pos = 0, NULL at the end.  No changes meanwhile. */
struct bs_obj *bs_objects_next(const struct bs_objects *t, uint64_t *pos);

/* Bytes of memory in use. */
size_t bs_objects_memory(const struct bs_objects *t);

#endif
