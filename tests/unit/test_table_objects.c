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
	assert_null(bs_objects_find(&t, 1, 0));
	for (unsigned r = 0; r < rounds; r++) {
		/* Phases that fill and phases that empty, so that it grows, splits and shrinks. */
		unsigned want = r / (rounds / 6) % 2 ? 2 : 10;
		uint32_t i = (uint32_t)(rnd() % ids), klass = 1 + (uint32_t)(rnd() % CLASSES);
		uint32_t *there = &ref[i][klass - 1];
		struct bs_obj *o = bs_objects_find(&t, klass, id_of(shape, i));

		assert_int_equal(o != NULL, *there != 0);
		if (o) {
			assert_true(o->id == id_of(shape, i));
			assert_int_equal(o->klass, klass);
			assert_int_equal(o->origin, *there);
		}
		if (rnd() % 12 < want) {
			bool found;

			o = bs_objects_put(&t, klass, id_of(shape, i), &found);
			assert_non_null(o);
			assert_int_equal(found, *there != 0);
			if (!found) {
				assert_true(!o->bytes && !o->flags && !o->birth_ns && !o->origin);
				live++;
			}
			*there = o->origin = r + 1;
		} else if (o) {
			bs_objects_remove(&t, o);
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
				o = bs_objects_find(&t, k, id_of(shape, i));
				assert_int_equal(o ? o->origin : 0, ref[i][k - 1]);
			}
		}
	}
	bs_objects_clear(&t);
	assert_int_equal(t.live, 0);
	assert_null(bs_objects_find(&t, 1, id_of(shape, 1)));
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
	bool found;

	(void)state;
	bs_objects_init(&t, secret);
	for (uint64_t i = 0; i < 1000000; i++) {
		bs_objects_put(&t, 1, id_of(1, i), &found);
		/* At every size, not only at a lucky one. */
		if (i >= 20000 && i % 1000 == 0)
			assert_true(bs_objects_memory(&t) <= 64 * t.live);
	}
	for (uint64_t i = 1000; i < 1000000; i++)
		bs_objects_remove(&t, bs_objects_find(&t, 1, id_of(1, i)));
	assert_int_equal(t.live, 1000);
	/* 256 shards of at least a few slots each are kept. */
	assert_true(bs_objects_memory(&t) <= 1024 * 1024);
	bs_objects_clear(&t);
	assert_int_equal(bs_objects_memory(&t), 0);
}

/*
 * How long the runs of used slots are (their squares are what walks cost), with ids chosen to
 * collide in tables that hash weakly: equal low bits, equal high bits, multiples of the golden
 * ratio's inverse, ids whose product with a well-known constant is small.
 */
static void hostile_ids(void **state)
{
	(void)state;
	for (unsigned shape = 0; shape < 8; shape++) {
		struct bs_objects t;
		uint64_t walked = 0, n = 50000;

		bs_objects_init(&t, secret);
		for (uint64_t i = 0; i < n; i++) {
			static const uint64_t step[8] = {1,
							 4096,
							 UINT64_C(1) << 32,
							 UINT64_C(1) << 47,
							 0xf1de83e19937733dull,
							 0xffffffffull,
							 0x0123456789abcdefull,
							 0x0001000100010001ull};
			bool found;

			assert_non_null(bs_objects_put(&t, 1, i * step[shape], &found));
			assert_false(found);
		}
		for (uint32_t s = 0; s < t.nshards; s++) {
			uint64_t run = 0;

			for (uint32_t i = 0; i <= t.shards[s].cap; i++) {
				if (i < t.shards[s].cap && t.shards[s].slots[i].klass) {
					run++;
					continue;
				}
				walked += run * run;
				run = 0;
			}
		}
		/* Random ids give 11; 20 leaves room for luck, not for clusters. */
		assert_true(walked / n < 20);
		bs_objects_clear(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(against_an_array),
		cmocka_unit_test(memory_per_object),
		cmocka_unit_test(hostile_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
