/* SPDX-License-Identifier: MIT */
/*
 * follow.h - sampling by object, as it lies in the memory of a program: which objects are followed,
 * and how that is decided at their birth.  The contract between the runtime, which decides and
 * looks up, and the tools, which ask for it (control.h).
 *
 * By gaps, each object is followed or not, whatever happens to the others: gaps between those that
 * are have an exponential distribution, in objects or in bytes.  So one that counts for s is
 * followed with the probability 1 - exp(-s / mean gap).
 *
 * By blocks, of each N objects that one thread's buffer sees begin in one stratum (buffer.h),
 * exactly one is followed; which of them, is random.  Each has the chance 1 / N, as by gaps, but
 * how many are followed is certain but for a block at either end.  Strata are what reports tell
 * apart: sites, and callers; few of them share one.
 *
 * Of a life that is followed all marks are recorded, of others none.
 *
 * The table holds ids of objects that are followed, by (class, id), until another object has the
 * id: what is said of an object after its drop is recorded, too.  It is written by all threads,
 * without locks: an entry changes by compare-and-swap.
 *
 * An object whose life cannot be followed to its end is forgotten: an event says so, which is no
 * mark and counts as no event: a slot that is left empty, but for its time and the id, and behind
 * it the slot of further operands with the number of the site at which it was forgotten.
 */
#ifndef BSCOPE_FOLLOW_H
#define BSCOPE_FOLLOW_H

#include <stdint.h>

#include <bscope/abi.h>

/* A bucket is the key's highest bits; the filter has a counter for some more of them. */
#define BSCOPE_FOLLOW_BUCKET_BITS 14
#define BSCOPE_FOLLOW_FILTER_BITS 17
#define BSCOPE_FOLLOW_WAYS	  8u

/* Of an entry: free, or the key of an object, whose lowest bit is set after its drop. */
#define BSCOPE_FOLLOW_FREE 0ull
#define BSCOPE_FOLLOW_DEAD 1ull

/*
 * The key of (class, id): the id, with the class's number in its highest bits, times this (2^64 /
 * golden ratio: Fibonacci hashing, a bijection).  Then the lowest bit is cleared, and the next set.
 */
#define BSCOPE_FOLLOW_FACTOR 0x9e3779b97f4a7c15ull

static inline uint64_t bscope_follow_hash(uint32_t klass, uint64_t id)
{
	return (id ^ (uint64_t)klass << (64 - BSCOPE_INDEX_SITE_SHIFT)) * BSCOPE_FOLLOW_FACTOR;
}

static inline uint64_t bscope_follow_key(uint64_t hash)
{
	return (hash & ~BSCOPE_FOLLOW_DEAD) | 2;
}

struct bscope_follow {
	uint64_t used; /* not 0: something has been written behind it */
	uint64_t full; /* objects that found no free entry, and were forgotten at once */
	uint64_t pad[6];
	/* How many entries have such a key, or may have: 0 is all that most marks need to see. */
	uint8_t filter[1u << BSCOPE_FOLLOW_FILTER_BITS];
	uint64_t keys[1u << BSCOPE_FOLLOW_BUCKET_BITS][BSCOPE_FOLLOW_WAYS];
};

/* struct bscope_control.follow */
#define BSCOPE_FOLLOW_CHOSEN 1u
#define BSCOPE_STAMP_COARSE  2u
#define BSCOPE_STACKS	     4u /* of the kinds in struct bscope_control.stacks */

/*
 * What a tool asks for, in 2^-BSCOPE_FOLLOW_UNIT_BITS objects or bytes: the mean gap, times ln 2;
 * and the base, what each object counts for.  With BSCOPE_FOLLOW_BYTES its bytes count besides (one
 * at least), and a resize decides anew.
 */
#define BSCOPE_FOLLOW_UNIT_BITS 16
#define BSCOPE_FOLLOW_BYTES	1u
/* By blocks of struct bscope_control.follow_block, at most so many, and no gaps. */
#define BSCOPE_FOLLOW_BLOCKS	2u
#define BSCOPE_FOLLOW_BLOCK_MAX (1u << 30)

#endif /* BSCOPE_FOLLOW_H */
