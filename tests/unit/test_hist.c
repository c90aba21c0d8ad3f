/* SPDX-License-Identifier: GPL-2.0-only */
/* test_hist.c - quantiles of the log-linear histogram against a sorted array. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "model/hist.h"

static uint64_t seed = 1;
static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1dull;
}

static int cmp(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

	return (a > b) - (a < b);
}

static const unsigned percents[] = {1, 10, 50, 90, 99, 100};

static void check(uint64_t *v, size_t n)
{
	struct bs_hist h = {0}, half[2] = {{0}, {0}}, sum = {0};

	for (size_t i = 0; i < n; i++) {
		assert_int_equal(bs_hist_add(&h, v[i]), 0);
		assert_int_equal(bs_hist_add(&half[i % 2], v[i]), 0);
	}
	assert_int_equal(bs_hist_merge(&sum, &half[0]), 0);
	assert_int_equal(bs_hist_merge(&sum, &half[1]), 0);
	qsort(v, n, sizeof(*v), cmp);
	assert_int_equal(h.count, n);
	assert_int_equal(h.max, n ? v[n - 1] : 0);
	assert_int_equal(sum.count, n);
	assert_int_equal(sum.max, h.max);
	for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
		uint64_t got = bs_hist_quantile(&h, percents[i], 100), want;

		assert_int_equal(bs_hist_quantile(&sum, percents[i], 100), got);
		if (!n) {
			assert_int_equal(got, 0);
			continue;
		}
		/* Nearest rank: the least value with at least that share at or below it. */
		want = v[(n * percents[i] + 99) / 100 - 1];
		assert_true(got >= want);
		assert_true(got - want <= want / 32);
		if (want < 64)
			assert_int_equal(got, want);
	}
	bs_hist_fini(&h);
	bs_hist_fini(&half[0]);
	bs_hist_fini(&half[1]);
	bs_hist_fini(&sum);
}

static void against_a_sorted_array(void **state)
{
	uint64_t *v = malloc(5000 * sizeof(*v));

	(void)state;
	for (unsigned round = 0; round < 400; round++) {
		size_t n = round < 10 ? round : rnd() % 5000;
		unsigned spread = (unsigned)(rnd() % 64), base = (unsigned)(rnd() % 64);

		for (size_t i = 0; i < n; i++) {
			switch (round % 4) {
			case 0: /* any power of two alike */
				v[i] = rnd() >> (rnd() % 64);
				break;
			case 1: /* a few powers of two */
				v[i] = rnd() >> (base + rnd() % (1 + spread / 8)) % 64;
				break;
			case 2: /* close together */
				v[i] = (UINT64_C(1) << base) +
				       rnd() % (1 + (UINT64_C(1) << spread));
				break;
			default: /* the same few again and again, at edges of buckets */
				v[i] = (UINT64_C(1) << (rnd() % 64)) - rnd() % 2;
				break;
			}
		}
		check(v, n);
	}
	free(v);
}

static void edges(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		for (int d = -1; d <= 1; d++) {
			uint64_t v = (UINT64_C(1) << bit) + (uint64_t)(int64_t)d, w = v;
			struct bs_hist h = {0};

			check(&v, 1);
			/* With a greater maximum its bucket shows its own upper end. */
			bs_hist_add(&h, w);
			bs_hist_add(&h, UINT64_MAX);
			assert_true(bs_hist_quantile(&h, 1, 2) >= w);
			assert_true(bs_hist_quantile(&h, 1, 2) - w <= w / 32);
			assert_true(bs_hist_quantile(&h, 1, 1) == UINT64_MAX);
			bs_hist_fini(&h);
		}
	}
}

/* More than 2^32 in one bucket: doubled by merging with itself. */
static void counts_past_32_bits(void **state)
{
	struct bs_hist h = {0};

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		bs_hist_add(&h, 1000);
	bs_hist_add(&h, 5000000);
	for (unsigned i = 0; i < 40; i++) {
		struct bs_hist twice = {0};

		assert_int_equal(bs_hist_merge(&twice, &h), 0);
		assert_int_equal(bs_hist_merge(&twice, &h), 0);
		bs_hist_fini(&h);
		h = twice;
	}
	assert_true(h.count == UINT64_C(4) << 40);
	assert_true(bs_hist_quantile(&h, 75, 100) - 1000 <= 1000 / 32);
	assert_true(bs_hist_quantile(&h, 76, 100) == 5000000);
	bs_hist_fini(&h);
}

/* A place whose objects live alike costs one group, not the whole range. */
static void memory_follows_the_values(void **state)
{
	struct bs_hist h = {0};

	(void)state;
	for (unsigned i = 0; i < 100000; i++)
		bs_hist_add(&h, 1024 + rnd() % 1024);
	assert_int_equal(h.ngroups, 1);
	assert_int_equal(h.cap, 1);
	assert_null(h.carry);
	for (unsigned i = 0; i < 100000; i++)
		bs_hist_add(&h, rnd() >> (rnd() % 64));
	assert_in_range(h.ngroups, 50, BS_HIST_GROUPS);
	bs_hist_fini(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(against_a_sorted_array),
		cmocka_unit_test(edges),
		cmocka_unit_test(counts_past_32_bits),
		cmocka_unit_test(memory_follows_the_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
