/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_model_dark.c - sites of a class go dark and are lit again while its objects live: what is
 * forgotten, what is undecided, and that every object is somewhere all the time.
 */
#include "verdict_check.h"

#include <math.h>

#include "base/sample.h"

static void give(unsigned kind, uint32_t klass, uint64_t id)
{
	struct bs_event e = {.ts_ns = now += US,
			     .id = id,
			     .arg = 1,
			     .pid = PID,
			     .tid = PID,
			     .place = 100 * klass + kind,
			     .klass_id = klass,
			     .type = BS_EVENT_MARK,
			     .kind = (uint8_t)kind};

	assert_int_equal(bs_model_event(m, &e), 0);
}
#define NEW(k, id)  give(BSCOPE_KIND_NEW, k, id)
#define DROP(k, id) give(BSCOPE_KIND_DROP, k, id)
#define USE(k, id)  give(BSCOPE_KIND_USE, k, id)

static struct bs_model_totals totals(void)
{
	struct bs_model_totals t;

	bs_model_totals(m, &t);
	assert_int_equal(t.created + t.adopted, t.dropped + t.vanished + t.live + t.exited);
	return t;
}

static int setup(void **state)
{
	static const struct bs_sample all = {BS_SAMPLE_OBJECTS, 1, 0};

	(void)state;
	model_new();
	assert_int_equal(bs_model_sample(m, 1000, &all), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bs_model_free(m);
	return 0;
}

static void forgotten(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= 100; i++) {
		NEW(BUF, i);
		NEW(CONN, i);
	}
	for (uint64_t i = 1; i <= 10; i++)
		DROP(BUF, i);
	assert_int_equal(bs_model_class_dark(m, BUF), 0);
	/* What was on its way yet. */
	NEW(BUF, 200);
	assert_int_equal(totals().live, 191);
	assert_int_equal(bs_model_class_forget(m, BUF, now), 0);
	assert_int_equal(totals().live, 100);
	assert_int_equal(totals().vanished, 91);
	/* What was followed may be dropped still, when it is lit again: that is nothing. */
	bs_model_class_lit(m, BUF, now);
	DROP(BUF, 50);
	USE(BUF, 51);
	assert_int_equal(totals().dropped, 10);
	NEW(BUF, 50);
	DROP(BUF, 50);
	assert_int_equal(totals().dropped, 11);
	/* The dead are dead: nothing is proven by what was before. */
	DROP(BUF, 5);
	NOTHING();
	assert_true(bs_model_undecided(m) > 0);
}

/* Also what is being resized, borrowed, owned, and in a region. */
static void forgotten_in_use(void **state)
{
	(void)state;
	NEW(BUF, 1);
	give(BSCOPE_KIND_BORROW, BUF, 1);
	NEW(BUF, 2);
	give(BSCOPE_KIND_RESIZE_BEGIN, BUF, 2);
	give(BSCOPE_KIND_REGION_ENTER, REQ, 7);
	NEW(BUF, 3);
	give(BSCOPE_KIND_MOVE, BUF, 3);
	give(BSCOPE_KIND_RETAIN, BUF, 3);
	assert_int_equal(bs_model_class_dark(m, BUF), 0);
	assert_int_equal(bs_model_class_forget(m, BUF, now), 0);
	totals();
	give(BSCOPE_KIND_RESIZE_END, BUF, 4);
	give(BSCOPE_KIND_REGION_EXIT, REQ, 7);
	totals();
	DROP(BUF, 1);
	exits();
	totals();
	NOTHING();
}

/* The end of a resize that was not seen is not that of another one. */
static void resize_in_the_dark(void **state)
{
	(void)state;
	NEW(BUF, 1);
	give(BSCOPE_KIND_RESIZE_BEGIN, BUF, 1);
	assert_int_equal(bs_model_class_dark(m, BUF), 0);
	assert_int_equal(bs_model_class_forget(m, BUF, now), 0);
	assert_int_equal(totals().live, 0);
	now += 10 * US;
	bs_model_class_lit(m, BUF, now);
	for (uint64_t i = 0; i < 3; i++) {
		NEW(BUF, 10 + i);
		for (uint64_t k = 0; k < i; k++)
			give(BSCOPE_KIND_RETAIN, BUF, 10 + i);
		give(BSCOPE_KIND_RESIZE_BEGIN, BUF, 10 + i);
		give(BSCOPE_KIND_RESIZE_END, BUF, i ? 9 + i : 1);
	}
	give(BSCOPE_KIND_RELEASE, BUF, 1);
	DROP(BUF, 1);
	for (uint64_t i = 1; i < 3; i++) {
		for (uint64_t k = 0; k <= i; k++)
			give(BSCOPE_KIND_RELEASE, BUF, 9 + i);
		DROP(BUF, 9 + i);
	}
	assert_int_equal(totals().live, 0);
	NOTHING();
}

static struct bs_estimate estimate(void)
{
	struct bs_estimate e;

	assert_int_equal(bs_model_estimate(m, &e), 0);
	assert_true(e.created.low <= e.created.value && e.created.value <= e.created.high);
	assert_true(e.live.low <= e.live.value && e.live.value <= e.live.high);
	return e;
}

/* What an estimate of all objects cannot know is in its interval. */
static void estimates_know_what_is_missing(void **state)
{
	struct bs_event forgotten = {
		.pid = PID, .tid = PID, .klass_id = CONN, .id = 3, .type = BS_EVENT_FORGOTTEN};
	struct bs_class_row *rows;
	struct bs_estimate e;
	size_t n;

	(void)state;
	for (uint64_t i = 1; i <= 10; i++) {
		NEW(BUF, i);
		NEW(CONN, i);
	}
	DROP(CONN, 10);
	e = estimate();
	assert_true(e.created.high == 20 && e.dropped.high == 1 && e.live.high == 19);
	/* It lives, or was dropped. */
	forgotten.ts_ns = now += US;
	assert_int_equal(bs_model_event(m, &forgotten), 0);
	e = estimate();
	assert_true(e.created.high == 20 && e.dropped.high == 2 && e.live.high == 19);
	assert_true(e.live.low == 18);
	/* Births, or drops. */
	bs_model_loss(m, now += US, 2);
	e = estimate();
	assert_true(e.created.low == 20 && e.created.high == 22);
	assert_true(e.dropped.low == 1 && e.dropped.high == 4);
	assert_true(e.live.low == 16 && e.live.high == 21);
	/* Any number of births. */
	assert_int_equal(bs_model_class_dark(m, BUF), 0);
	assert_int_equal(bs_model_class_forget(m, BUF, now), 0);
	bs_model_class_lit(m, BUF, now);
	e = estimate();
	assert_true(isinf(e.created.high) && isinf(e.dropped.high) && isinf(e.live.high));
	assert_int_equal(bs_model_classes(m, &rows, &n), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(!isfinite(rows[i].estimate.created.high), rows[i].klass_id == BUF);
	free(rows);
}

static void undecided_meanwhile(void **state)
{
	uint64_t before;

	(void)state;
	/* Wrong before it went dark: that stays found. */
	NEW(CONN, 9);
	DROP(CONN, 9);
	DROP(CONN, 9);
	EXPECT({BS_VERDICT_DOUBLE_DROP, 100 * CONN + BSCOPE_KIND_DROP,
		100 * CONN + BSCOPE_KIND_DROP});
	before = bs_model_undecided(m);
	assert_int_equal(bs_model_class_dark(m, BUF), 0);
	assert_int_equal(bs_model_class_dark(m, BUF), 0);
	NEW(BUF, 1);
	DROP(BUF, 1);
	DROP(BUF, 1);
	/* One of two groups is lit again. */
	bs_model_class_lit(m, BUF, now);
	NEW(BUF, 2);
	DROP(BUF, 2);
	DROP(BUF, 2);
	/* Begun before, wrong after it. */
	NEW(BUF, 3);
	DROP(BUF, 3);
	bs_model_class_lit(m, BUF, now += US);
	DROP(BUF, 3);
	EXPECT({BS_VERDICT_DOUBLE_DROP, 100 * CONN + BSCOPE_KIND_DROP,
		100 * CONN + BSCOPE_KIND_DROP});
	assert_int_equal(bs_model_undecided(m), before + 3);
	/* Begun after it. */
	NEW(BUF, 4);
	DROP(BUF, 4);
	DROP(BUF, 4);
	EXPECT({BS_VERDICT_DOUBLE_DROP, 100 * CONN + BSCOPE_KIND_DROP,
		100 * CONN + BSCOPE_KIND_DROP},
	       {BS_VERDICT_DOUBLE_DROP, 100 * BUF + BSCOPE_KIND_DROP,
		100 * BUF + BSCOPE_KIND_DROP});
}

/* The filter left some of a class dark for good: lit again does not make it whole. */
static void never_whole(void **state)
{
	(void)state;
	assert_int_equal(bs_model_class(m, BUF, true, UINT64_MAX), 0);
	assert_int_equal(bs_model_class_dark(m, BUF), 0);
	bs_model_class_lit(m, BUF, now);
	bs_model_class_lit(m, BUF, now);
	bs_model_class_lit(m, 4711, now);
	NEW(BUF, 4);
	DROP(BUF, 4);
	DROP(BUF, 4);
	NOTHING();
}

static uint64_t seed = 88172645463325252ull;

static uint32_t below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)((seed * 0x2545f4914f6cdd1dull) >> 33) % n;
}

/* A correct program, of which some marks are not seen: no accusation, nobody is lost count of. */
static void random_dark(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		bool alive[CLASSES + 1][16] = {{0}}, dark[CLASSES + 1][2] = {{0}};

		if (round) {
			teardown(NULL);
			setup(NULL);
		}
		for (unsigned i = 0; i < 2000; i++) {
			uint32_t k = 1 + below(CLASSES), id = below(16), what = below(100);

			if (what < 3) {
				/* 0: lives, and with them the others. */
				uint32_t tier = below(2);
				bool off = !dark[k][tier];

				if (!off && tier && dark[k][0])
					continue;
				for (uint32_t t = tier; t < (off ? 2 : tier + 1); t++) {
					if (dark[k][t] == off)
						continue;
					dark[k][t] = off;
					if (off)
						assert_int_equal(bs_model_class_dark(m, k), 0);
					else
						bs_model_class_lit(m, k, now);
					if (off && !t)
						assert_int_equal(bs_model_class_forget(m, k, now),
								 0);
				}
			} else if (what < 50) {
				alive[k][id] = !alive[k][id];
				if (!dark[k][0])
					give(alive[k][id] ? BSCOPE_KIND_NEW : BSCOPE_KIND_DROP, k,
					     id);
				else
					now += US;
			} else if (alive[k][id] && !dark[k][1]) {
				USE(k, id);
			}
			totals();
		}
		NOTHING();
	}
}

/* Some of its sites cannot be lit, which is found while others are dark: that does not end so. */
static void never_lit(void **state)
{
	(void)state;
	assert_int_equal(bs_model_class_dark(m, BUF), 0);
	assert_int_equal(bs_model_class(m, BUF, true, UINT64_MAX), 0);
	bs_model_class_lit(m, BUF, now += US);
	NEW(BUF, 1);
	DROP(BUF, 1);
	DROP(BUF, 1);
	NOTHING();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(forgotten_in_use, setup, teardown),
		cmocka_unit_test_setup_teardown(resize_in_the_dark, setup, teardown),
		cmocka_unit_test_setup_teardown(estimates_know_what_is_missing, setup, teardown),
		cmocka_unit_test_setup_teardown(undecided_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(never_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(never_lit, setup, teardown),
		cmocka_unit_test_setup_teardown(random_dark, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
