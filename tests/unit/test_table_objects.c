/* SPDX-License-Identifier: GPL-2.0-only */
/* test_table_objects.c - the table of live objects against a plain array. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "model/objects.h"

static uint64_t seed = 1;
static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1dull;
}

static const uint64_t secret[2] = {0x0123456789abcdefull, 0xfedcba9876543210ull};

static uint64_t hash(uint32_t klass, uint64_t id)
{
	return bs_objects_hash(secret, klass, id);
}

#define CLASSES 3u
#define IDS	20000u

/* Ids as programs have them. */
static uint64_t id_of(unsigned shape, uint64_t i)
{
	switch (shape) {
	case 0:
		return i; /* descriptors */
	case 1:
		return 0x7f0000000000ull + i * 64; /* a slab */
	case 2:
		return i << 44; /* all in the high bits */
	default:
		return i * 0x9e3779b97f4a7c15ull;
	}
}

static void churn(unsigned shape, unsigned ids, unsigned rounds)
{
	uint32_t(*ref)[CLASSES] = calloc(ids, sizeof(*ref)); /* 0: not there, else origin */
	struct bs_objects t;
	size_t live = 0;

	bs_objects_init(&t, secret);
	assert_null(bs_objects_find(&t, hash(1, 0), 1, 0));
	for (unsigned r = 0; r < rounds; r++) {
		/* Phases that fill and phases that empty, so that it grows, splits and shrinks. */
		unsigned want = r / (rounds / 6) % 2 ? 2 : 10;
		uint32_t i = (uint32_t)(rnd() % ids), klass = 1 + (uint32_t)(rnd() % CLASSES);
		uint32_t *there = &ref[i][klass - 1];
		uint64_t h = hash(klass, id_of(shape, i));
		struct bs_obj *o, was;

		if (rnd() % 2)
			bs_objects_fetch_tags(&t, &h, 1);
		if (rnd() % 2)
			bs_objects_fetch(&t, &h, 1);
		o = bs_objects_find(&t, hash(klass, id_of(shape, i)), klass, id_of(shape, i));
		assert_int_equal(o != NULL, *there != 0);
		memset(&was, 0, sizeof(was));
		if (o)
			was = *o;
		if (o) {
			assert_true(o->id == id_of(shape, i));
			assert_int_equal(o->klass, klass);
			assert_int_equal(o->origin, *there);
		}
		if (rnd() % 12 < want) {
			bool found;

			o = bs_objects_put(&t, hash(klass, id_of(shape, i)), klass, id_of(shape, i),
					   &found);
			assert_non_null(o);
			assert_int_equal(found, *there != 0);
			if (!found) {
				assert_true(!o->bytes && !o->flags && !o->birth_ns && !o->origin);
				live++;
			}
			*there = o->origin = r + 1;
		} else if (o) {
			struct bs_obj gone;

			assert_true(bs_objects_take(&t, hash(klass, id_of(shape, i)), klass,
						    id_of(shape, i), &gone));
			assert_memory_equal(&gone, &was, sizeof(gone));
			assert_false(bs_objects_take(&t, hash(klass, id_of(shape, i)), klass,
						     id_of(shape, i), &gone));
			*there = 0;
			live--;
		}
		assert_int_equal(t.live, live);
	}

	/* A walk meets each once. */
	{
		uint64_t pos = 0;
		size_t met = 0;
		const struct bs_obj *o;

		while ((o = bs_objects_next(&t, &pos)))
			met++;
		assert_int_equal(met, live);
		for (unsigned i = 0; i < ids; i++) {
			for (uint32_t k = 1; k <= CLASSES; k++) {
				o = bs_objects_find(&t, hash(k, id_of(shape, i)), k,
						    id_of(shape, i));
				assert_int_equal(o ? o->origin : 0, ref[i][k - 1]);
			}
		}
	}
	bs_objects_clear(&t);
	assert_int_equal(t.live, 0);
	assert_null(bs_objects_find(&t, hash(1, id_of(shape, 1)), 1, id_of(shape, 1)));
	free(ref);
}

static void against_an_array(void **state)
{
	(void)state;
	for (unsigned shape = 0; shape < 4; shape++) {
		churn(shape, 7, 20000);
		churn(shape, 300, 60000);
		churn(shape, IDS, 600000);
	}
}

static void memory_per_object(void **state)
{
	struct bs_objects t;
	struct bs_obj gone;
	bool found;

	(void)state;
	bs_objects_init(&t, secret);
	for (uint64_t i = 0; i < 1000000; i++) {
		bs_objects_put(&t, hash(1, id_of(1, i)), 1, id_of(1, i), &found);
		/* At every size, not only at a lucky one. */
		if (i >= 20000 && i % 1000 == 0)
			assert_true(bs_objects_memory(&t) <= 64 * t.live);
	}
	for (uint64_t i = 1000; i < 1000000; i++)
		assert_true(bs_objects_take(&t, hash(1, id_of(1, i)), 1, id_of(1, i), &gone));
	assert_int_equal(t.live, 1000);
	/* Shards of at least a few slots each are kept. */
	assert_true(bs_objects_memory(&t) <= 1024 * 1024);
	bs_objects_clear(&t);
	assert_int_equal(bs_objects_memory(&t), 0);
}

/* Where objects come and go all the time, with the dead that are remembered: no more. */
static void memory_of_the_busy(void **state)
{
	static const size_t live[] = {5000, 20000, 50000, 130000};

	(void)state;
	for (unsigned k = 0; k < sizeof(live) / sizeof(live[0]); k++) {
		uint64_t *ids = calloc(live[k], sizeof(*ids)), next = 0;
		struct bs_objects t;
		bool found;

		bs_objects_init(&t, secret);
		for (size_t i = 0; i < 6 * live[k]; i++) {
			size_t at = i < live[k] ? i : rnd() % live[k];
			struct bs_obj *o;

			if (i >= live[k]) {
				o = bs_objects_find(&t, hash(1, ids[at]), 1, ids[at]);
				assert_non_null(o);
				bs_objects_bury(&t, hash(1, ids[at]), o, 7, 8, i);
				if (i % 1000 == 0)
					assert_true(bs_objects_memory(&t) <= 64 * live[k]);
			}
			/* Half of the ids are used again. */
			if (i < live[k] || rnd() % 2)
				ids[at] = id_of(1, next++);
			o = bs_objects_put(&t, hash(1, ids[at]), 1, ids[at], &found);
			assert_non_null(o);
			if (found)
				bs_objects_revive(&t, hash(1, ids[at]), o);
		}
		assert_int_equal(t.live, live[k]);
		bs_objects_clear(&t);
		free(ids);
	}
}

/* So many groups of 16 slots have none that is free: whoever looks for something walks on. */
static unsigned groups_full(const struct bs_objects *t)
{
	unsigned full = 0;

	for (uint32_t s = 0; s < t->nshards; s++) {
		const uint8_t *tags = (const uint8_t *)(t->shards[s].slots + t->shards[s].cap);

		/* A group is 16 tags, and what is known of the dead, in 32 bytes. */
		for (uint32_t i = 0; i < t->shards[s].cap / 16; i++)
			full += !memchr(tags + i * 32, 0x80, 16);
	}
	return full;
}

/*
 * Ids chosen to collide in tables that hash weakly: equal low bits, equal high bits, multiples of
 * the golden ratio's inverse, ids whose product with a well-known constant is small.  They fill no
 * more groups than any others.
 */
static void hostile_ids(void **state)
{
	static const uint64_t step[9] = {0, /* random */
					 1,
					 4096,
					 UINT64_C(1) << 32,
					 UINT64_C(1) << 47,
					 0xf1de83e19937733dull,
					 0xffffffffull,
					 0x0123456789abcdefull,
					 0x0001000100010001ull};
	unsigned random = 0;

	(void)state;
	for (unsigned shape = 0; shape < 9; shape++) {
		struct bs_objects t;

		bs_objects_init(&t, secret);
		for (uint64_t i = 0; i < 50000; i++) {
			uint64_t id = shape ? i * step[shape] : rnd();
			bool found;

			assert_non_null(bs_objects_put(&t, hash(1, id), 1, id, &found));
			assert_false(found);
		}
		if (!shape)
			random = groups_full(&t);
		/* A fifth leaves room for luck, not for clusters. */
		assert_in_range(groups_full(&t), 1, random + random / 5);
		bs_objects_clear(&t);
	}
}

/* What is there one after the other at the same place, a million times, fills no table. */
static void turned_over(void **state)
{
	const size_t n = 1000;
	struct bs_objects t;
	struct bs_obj gone;
	size_t most = 0;
	bool found;

	(void)state;
	bs_objects_init(&t, secret);
	for (uint64_t i = 0; i < 1000000; i++) {
		assert_non_null(bs_objects_put(&t, hash(1, i), 1, i, &found));
		if (i >= n)
			assert_true(bs_objects_take(&t, hash(1, i - n), 1, i - n, &gone));
		if (i == 10 * n)
			most = bs_objects_memory(&t);
		if (i > 10 * n)
			assert_true(bs_objects_memory(&t) <= most + most / 2);
	}
	assert_int_equal(t.live, n);
	bs_objects_clear(&t);
}

/* Of those who were dropped last, hardly any is forgotten, whoever comes in their place. */
static void dead_kept(void **state)
{
	enum { LIVE = 20000, LAST = 500, ROUNDS = 200000 };
	unsigned known = 0, asked = 0;
	struct bs_objects t;
	bool found;

	(void)state;
	bs_objects_init(&t, secret);
	for (uint64_t i = 0; i < ROUNDS; i++) {
		struct bs_obj *o;

		assert_non_null(bs_objects_put(&t, hash(1, i), 1, i, &found));
		assert_false(found);
		if (i < LIVE)
			continue;
		o = bs_objects_find(&t, hash(1, i - LIVE), 1, i - LIVE);
		assert_non_null(o);
		bs_objects_bury(&t, hash(1, i - LIVE), o, 7, 8, i);
		if (i < LIVE + LAST)
			continue;
		o = bs_objects_find(&t, hash(1, i - LIVE - LAST), 1, i - LIVE - LAST);
		asked++;
		if (!o)
			continue;
		known++;
		assert_true(o->flags & BS_OBJ_DEAD);
		assert_int_equal(o->birth_ns, i - LAST);
		assert_int_equal(o->origin, 7);
		assert_int_equal(o->bytes, 8);
	}
	assert_int_equal(t.live, LIVE);
	assert_true(known >= asked / 20 * 19);
	bs_objects_clear(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(against_an_array),   cmocka_unit_test(memory_per_object),
		cmocka_unit_test(memory_of_the_busy), cmocka_unit_test(dead_kept),
		cmocka_unit_test(hostile_ids),	      cmocka_unit_test(turned_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
