/* SPDX-License-Identifier: MIT */
/*
 * follow.h - the table of followed objects, and how they are chosen (include/bscope/follow.h).
 *
 * Called on the record path: no lock, no system call, nothing of the C library, and at any place
 * a signal handler may come in between and do the same.  Who is interrupted for good while an entry
 * is busy leaves it so, and nobody waits for it.
 */
#ifndef BS_RUNTIME_FOLLOW_H
#define BS_RUNTIME_FOLLOW_H

#include "runtime/runtime.h"

#if defined(__x86_64__)

/* index: of the site, whose lowest bits are the class; the others fall out. */
static inline uint64_t follow_hash(uint32_t index, uint64_t id)
{
	return bscope_follow_hash(index, id);
}

static inline uint64_t follow_key(uint64_t hash)
{
	return bscope_follow_key(hash);
}

/* Not 0: its object may be followed. */
static inline uint8_t *follow_filter(struct bscope_follow *t, uint64_t hash)
{
	return &t->filter[hash >> (64 - BSCOPE_FOLLOW_FILTER_BITS)];
}

static inline uint64_t *follow_ways(struct bscope_follow *t, uint64_t hash)
{
	return t->keys[hash >> (64 - BSCOPE_FOLLOW_BUCKET_BITS)];
}

static inline uint64_t entry_read(const uint64_t *entry)
{
	return *(const volatile uint64_t *)entry;
}

static inline int entry_swap(uint64_t *entry, uint64_t from, uint64_t to)
{
	return __atomic_compare_exchange_n(entry, &from, to, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* One entry more or less, unless the counter was ever full: then it tells nobody apart any more. */
static inline void follow_count(uint8_t *counter, int change)
{
	uint8_t n = *(volatile uint8_t *)counter;

	while (n != 255 && !__atomic_compare_exchange_n(counter, &n, (uint8_t)(n + change), 0,
							__ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

/* The object's entry, alive or dead; NULL if it is not followed. */
static inline uint64_t *follow_find(struct bscope_follow *t, uint64_t hash)
{
	uint64_t *ways = follow_ways(t, hash), key = follow_key(hash);

	for (uint32_t i = 0; i < BSCOPE_FOLLOW_WAYS; i++)
		if ((entry_read(&ways[i]) & ~BSCOPE_FOLLOW_DEAD) == key)
			return &ways[i];
	return 0;
}

/*
 * Alive from now on; 0: there is no room.  A counter that somebody who is interrupted for good
 * leaves too high costs time, never too low.
 */
static inline int follow_add(struct bscope_follow *t, uint64_t hash)
{
	uint64_t *ways = follow_ways(t, hash), key = follow_key(hash);

	t->used = 1;
	follow_count(follow_filter(t, hash), 1);
	/* Those that are free first; of the dead only their misuse is forgotten. */
	for (int dead = 0; dead < 2; dead++)
		for (uint32_t i = 0; i < BSCOPE_FOLLOW_WAYS; i++) {
			uint64_t was = entry_read(&ways[i]);

			if (dead ? !(was & BSCOPE_FOLLOW_DEAD) : was != BSCOPE_FOLLOW_FREE)
				continue;
			if (!entry_swap(&ways[i], was, key))
				continue;
			if (was)
				follow_count(follow_filter(t, was), -1);
			return 1;
		}
	follow_count(follow_filter(t, hash), -1);
	__atomic_fetch_add(&t->full, 1, __ATOMIC_RELAXED);
	return 0;
}

static inline int follow_alive(const uint64_t *entry, uint64_t hash)
{
	return entry_read(entry) == follow_key(hash);
}

/* It is alive and dies: 0: it did already, or is not there any more. */
static inline int follow_drop(uint64_t *entry, uint64_t hash)
{
	uint64_t key = follow_key(hash);

	return entry_swap(entry, key, key | BSCOPE_FOLLOW_DEAD);
}

static inline int follow_revive(uint64_t *entry, uint64_t hash)
{
	uint64_t key = follow_key(hash);

	return entry_swap(entry, key | BSCOPE_FOLLOW_DEAD, key) || follow_alive(entry, hash);
}

/* Another object has its id, or nobody knows. */
static inline void follow_remove(struct bscope_follow *t, uint64_t *entry, uint64_t hash)
{
	uint64_t was = entry_read(entry);

	if ((was & ~BSCOPE_FOLLOW_DEAD) == follow_key(hash) &&
	    entry_swap(entry, was, BSCOPE_FOLLOW_FREE))
		follow_count(follow_filter(t, hash), -1);
}

/* --- gaps ------------------------------------------------------------------------------------- */

/* Splitmix64 (Steele, Lea, Flood, OOPSLA 2014). */
static inline __attribute__((always_inline)) uint64_t follow_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/*
 * A gap with exponential distribution: -log2 of a random number in (0, 1], times gap, the mean
 * times ln 2.  The logarithm is taken bit by bit, by squaring: 24 bits behind the point.
 */
static BS_ANYWHERE __attribute__((noinline)) int64_t follow_draw(uint64_t *state, uint64_t gap)
{
	uint64_t x = follow_random(state) | 1, log = 0, most = (uint64_t)INT64_MAX;
	uint32_t e = (uint32_t)__builtin_clzll(x);
	unsigned __int128 product;

	x <<= e;
	for (int i = 0; i < 24; i++) {
		x = (uint64_t)((unsigned __int128)x * x >> 64);
		log = log << 1 | x >> 63;
		x <<= !(x >> 63);
	}
	log = ((uint64_t)(e + 1) << 24) - log;
	product = (unsigned __int128)log * gap >> 24;
	return (int64_t)(product < most ? (uint64_t)product : most);
}

#define FOLLOW_BYTES_BITS 46
#define FOLLOW_BYTES_MAX  (1ull << FOLLOW_BYTES_BITS)

/* What an object counts for. */
static inline int64_t follow_size(uint64_t bytes)
{
	if (!(bs_control.follow_flags & BSCOPE_FOLLOW_BYTES))
		return (int64_t)bs_control.follow_base;
	if (!bytes)
		bytes = 1;
	if (bytes > FOLLOW_BYTES_MAX)
		bytes = FOLLOW_BYTES_MAX;
	return (int64_t)(bs_control.follow_base + (bytes << BSCOPE_FOLLOW_UNIT_BITS));
}

/* --- blocks ----------------------------------------------------------------------------------- */

static inline int follow_by_blocks(void)
{
	return bs_control.follow_flags & BSCOPE_FOLLOW_BLOCKS;
}

/* A block of which one is followed, behind so many births of the one before. */
static inline uint64_t block_draw(uint64_t *state, uint32_t after)
{
	uint32_t births = bs_control.follow_block;
	uint32_t place = (uint32_t)((follow_random(state) >> 32) * births >> 32);

	return (uint64_t)(births - place) << 32 | (after + place + 1);
}

/*
 * An object begins: is it the one of its block?  A handler that comes in between is another one, as
 * if it had been before.  It may find that the entry (entries.c) has counted down to 0 and not
 * taken that back yet: then it is the one, and the entry's object the next.
 */
static inline int follow_block(struct bscope_buffer *owner, uint32_t stratum)
{
	uint64_t *block = &owner->blocks[stratum], was, next;
	int chosen;

	do {
		was = entry_read(block);
		next = was ? was : block_draw(&owner->random, 0);
		chosen = (uint32_t)next <= 1;
		if (chosen)
			next = block_draw(&owner->random, (uint32_t)(next >> 32) - 1);
		else
			next--;
	} while (!entry_swap(block, was, next));
	return chosen;
}

/* ---------------------------------------------------------------------------------------------- */

/*
 * A tool has changed what it asks for: its gaps know nothing of the past, so a new one will do, and
 * blocks begin anew.  With the epoch it holds, for handlers as well, so that is said last: what
 * they have begun before is a block more that has not ended.
 */
static inline void follow_begin(struct bscope_buffer *owner)
{
	uint32_t epoch = bs_control.follow_epoch;

	owner->random += __builtin_ia32_rdtsc() ^ (uint64_t)(uintptr_t)owner << 16;
	if (follow_by_blocks())
		for (uint32_t i = 0; i < BSCOPE_STRATA; i++)
			*(volatile uint64_t *)&owner->blocks[i] = 0;
	else
		owner->gap = follow_draw(&owner->random, bs_control.follow_gap);
	__asm__ __volatile__("" : : : "memory");
	owner->epoch = epoch;
}

/* The last one of a gap has begun, and the next gap is being drawn. */
#define GAP_OVER (-1)

/*
 * An object begins that counts for so much: is it the last one of the gap?  Then the next one
 * begins.
 *
 * Drawing takes long, so that handlers often come just then.  Whoever does begins a gap of its own,
 * as gaps know nothing of the past; were it found chosen since the gap is over, most objects that
 * are chosen would be those of handlers.  If nobody comes back to say what the next gap is, that
 * one will do.
 */
static inline int follow_chosen(struct bscope_buffer *owner, int64_t size)
{
	uint64_t *gap = (uint64_t *)&owner->gap;
	int64_t was, left;

	do {
		was = (int64_t)entry_read(gap);
		left = was > 0 ? was : follow_draw(&owner->random, bs_control.follow_gap);
		left = left > size ? left - size : GAP_OVER;
	} while (!entry_swap(gap, (uint64_t)was, (uint64_t)left));
	if (likely(left > 0))
		return 0;
	*(volatile int64_t *)&owner->gap = follow_draw(&owner->random, bs_control.follow_gap);
	return 1;
}

#endif /* x86-64 */
#endif
