/* SPDX-License-Identifier: GPL-2.0-only */
/* test_tsc.c - stamps of the counter into CLOCK_MONOTONIC, and the bits that a slot has no room
 * for. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "decode/tsc.h"

static uint64_t state_rng = 88172645463325252ull;

static uint64_t rng(void)
{
	state_rng ^= state_rng << 13;
	state_rng ^= state_rng >> 7;
	state_rng ^= state_rng << 17;
	return state_rng;
}

static void assert_near(uint64_t a, uint64_t b, uint64_t by)
{
	assert_in_range(a > b ? a - b : b - a, 0, by);
}

/* --- conversion --------------------------------------------------------------------------------
 */

/* Pairs as a machine makes them: each 20 ms, and the clock is corrected a little all the time. */
static void pairs_make(struct bs_tsc *t, uint64_t tsc, uint64_t ns, double ghz, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t step = 20000000 + rng() % 3000000;
		double ppm = 1 + ((double)(rng() % 200) - 100) / 1e6;

		bs_tsc_add(t, tsc, ns);
		tsc += (uint64_t)((double)step * ghz * ppm);
		ns += step;
	}
}

static const double speeds[] = {0.4, 1.0, 2.1, 3.0, 5.8};

static void test_exact_at_pairs(void **state)
{
	(void)state;
	for (size_t s = 0; s < sizeof(speeds) / sizeof(speeds[0]); s++)
		for (unsigned round = 0; round < 20; round++) {
			struct bs_tsc t = {0};

			pairs_make(&t, rng() >> (rng() % 30 + 2), rng() >> 8, speeds[s],
				   2 + rng() % 62);
			for (size_t i = 0; i < t.n; i++)
				assert_near(bs_tsc_ns(&t, t.pairs[i].tsc), t.pairs[i].ns, 1);
		}
}

/* Between two pairs time runs evenly; it never steps back, over all of them and beyond. */
static void test_monotone(void **state)
{
	(void)state;
	for (size_t s = 0; s < sizeof(speeds) / sizeof(speeds[0]); s++) {
		struct bs_tsc t = {0};
		uint64_t first, last, tsc, before = 0, step;

		pairs_make(&t, 1ull << 45, 1ull << 50, speeds[s], 40);
		first = t.pairs[0].tsc;
		last = t.pairs[t.n - 1].tsc;
		tsc = first - (uint64_t)(1e9 * speeds[s]);
		step = (last - tsc) / 200000;
		for (; tsc < last + (last - first); tsc += 1 + rng() % (2 * step)) {
			uint64_t ns = bs_tsc_ns(&t, tsc);

			assert_true(ns >= before);
			before = ns;
		}
		/* Tick by tick where two pieces meet. */
		for (size_t i = 0; i < t.n; i++) {
			before = 0;
			for (tsc = t.pairs[i].tsc - 100; tsc < t.pairs[i].tsc + 100; tsc++) {
				uint64_t ns = bs_tsc_ns(&t, tsc);

				assert_true(ns >= before);
				assert_true(!before || ns - before <= 4);
				before = ns;
			}
		}
		/* The middle of two. */
		for (size_t i = 1; i < t.n; i++) {
			uint64_t half = (t.pairs[i].tsc - t.pairs[i - 1].tsc) / 2;

			assert_near(bs_tsc_ns(&t, t.pairs[i - 1].tsc + half),
				    t.pairs[i - 1].ns + (t.pairs[i].ns - t.pairs[i - 1].ns) / 2, 3);
		}
	}
}

/* Beyond the pairs it goes on as between the last two, and as between the first two. */
static void test_extrapolation(void **state)
{
	const uint64_t tsc = 10000000000000ull, ns = 5000000000000ull;
	struct bs_tsc t = {0};

	(void)state;
	bs_tsc_add(&t, tsc, ns);
	bs_tsc_add(&t, tsc + 40000000, ns + 20000000);	/* 2 GHz */
	bs_tsc_add(&t, tsc + 100000000, ns + 40000000); /* 3 GHz */
	assert_near(bs_tsc_ns(&t, tsc + 100000000 + 3000000000ull), ns + 1040000000, 1);
	assert_near(bs_tsc_ns(&t, tsc + 100000003), ns + 40000001, 1);
	assert_near(bs_tsc_ns(&t, tsc - 2000000000ull), ns - 1000000000, 1);
	assert_near(bs_tsc_ns(&t, tsc - 2), ns - 1, 1);
	/* Before the clock began: not a time that is far in the future. */
	assert_int_equal(bs_tsc_ns(&t, 0), 0);
}

/* The oldest give way; a pair that does not go forward is not taken. */
static void test_many_pairs(void **state)
{
	struct bs_tsc t = {0};

	(void)state;
	for (uint64_t i = 1; i <= 1000; i++) {
		bs_tsc_add(&t, i * 60000000, i * 20000000);
		bs_tsc_add(&t, i * 60000000, i * 20000000 + 5);
		bs_tsc_add(&t, i * 60000000 + 5, i * 20000000);
		bs_tsc_add(&t, i * 60000000 - 7, i * 20000000 + 7);
		assert_int_equal(t.n, i < BS_TSC_PAIRS ? i : BS_TSC_PAIRS);
		assert_int_equal(t.pairs[t.n - 1].tsc, i * 60000000);
		assert_int_equal(t.pairs[t.n - 1].ns, i * 20000000);
	}
	for (uint64_t i = 1; i <= 1100; i++)
		assert_near(bs_tsc_ns(&t, i * 60000000 + 30), i * 20000000 + 10, 1);
}

/* Numbers as large as a machine that has run for years has them lose nothing. */
static void test_large(void **state)
{
	const uint64_t tsc = 3ull << 60, ns = 1ull << 60;
	struct bs_tsc t = {0};

	(void)state;
	bs_tsc_add(&t, tsc, ns);
	bs_tsc_add(&t, tsc + 60000000, ns + 20000000);
	for (uint64_t i = 0; i < 20000000; i += 9973)
		assert_near(bs_tsc_ns(&t, tsc + 3 * i), ns + i, 1);
}

static uint64_t monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* This machine's: a stamp lies between the clock before and the clock after it. */
static void test_sync(void **state)
{
	const char *why = "unset";
	struct bs_tsc t = {0};
	uint64_t last = 0;

	(void)state;
	if (!bs_tsc_usable(&why)) {
		assert_non_null(why);
		assert_true(why[0]);
		return;
	}
	assert_null(why);
	bs_tsc_sync(&t);
	assert_int_equal(t.n, 2);
	bs_tsc_sync(&t);
	assert_int_equal(t.n, 2); /* too early for another */
	for (unsigned i = 0; i < 8; i++) {
		uint64_t before = monotonic_ns(), tsc = bs_tsc_now(), after = monotonic_ns();
		uint64_t ns;

		assert_true(tsc > last);
		last = tsc;
		bs_tsc_sync(&t);
		ns = bs_tsc_ns(&t, tsc);
		/* The pairs are read within less than this, or the machine is not fit for it. */
		assert_true(ns + 100000 >= before && ns <= after + 100000);
		while (monotonic_ns() < before + 10000000)
			;
	}
	assert_true(t.n > 2);
}

/* --- widening ----------------------------------------------------------------------------------
 */

#define QUARTER (1ull << 28) /* ticks: less than what is allowed to be ahead */

static void widens(uint64_t stamp, uint64_t reference, unsigned bits)
{
	assert_int_equal(bs_tsc_widen(stamp & ((1ull << bits) - 1), bits, reference), stamp);
}

/* Any stamp that is not older than the bits reach, and not younger than the reference. */
static void test_widen(void **state)
{
	static const unsigned widths[] = {32, 40, 48};

	(void)state;
	for (size_t w = 0; w < 3; w++) {
		uint64_t range = 1ull << widths[w], oldest = range - (1ull << 29);

		for (unsigned i = 0; i < 200000; i++) {
			uint64_t reference = (rng() >> (rng() % 16)) | range << 1;
			uint64_t age = rng() % 4 ? (rng() >> (rng() % 60)) % oldest
						 : oldest - 1 - rng() % 1000;

			widens(reference - age, reference, widths[w]);
			widens(reference + rng() % QUARTER, reference, widths[w]);
		}
		widens((range << 1) - 1, range << 1, widths[w]);
		widens(range << 1, range << 1, widths[w]);
		widens((range << 1) + 1, range << 1, widths[w]);
		widens((range << 1) + 5, (range << 1) - 5, widths[w]);
		widens((range << 1) - 5, (range << 1) + 5, widths[w]);
	}
}

/* All around the place where the low bits run over, for a reference on either side. */
static void test_widen_around_wraps(void **state)
{
	(void)state;
	for (uint64_t lap = 1; lap < 1ull << 24; lap = lap * 3 + 1)
		for (int64_t r = -3000; r <= 3000; r += 7)
			for (int64_t s = -3000; s <= 3000; s += 997) {
				uint64_t wrap = lap << 40;

				widens(wrap + (uint64_t)s, wrap + (uint64_t)r, 40);
			}
}

/* A machine that has just started, and stamps that nobody can have made. */
static void test_widen_early(void **state)
{
	struct bs_tsc t = {0};

	(void)state;
	bs_tsc_add(&t, 3000000000ull, 1000000000);
	bs_tsc_add(&t, 3060000000ull, 1020000000);
	widens(1000, 3000000000ull, 40);
	widens(2999999999ull, 3000000000ull, 40);
	/* From before the counter's zero: no time in the far future. */
	assert_int_equal(bs_tsc_ns(&t, bs_tsc_widen(1ull << 39, 40, 3000000000ull)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact_at_pairs), cmocka_unit_test(test_monotone),
		cmocka_unit_test(test_extrapolation),  cmocka_unit_test(test_many_pairs),
		cmocka_unit_test(test_large),	       cmocka_unit_test(test_sync),
		cmocka_unit_test(test_widen),	       cmocka_unit_test(test_widen_around_wraps),
		cmocka_unit_test(test_widen_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
