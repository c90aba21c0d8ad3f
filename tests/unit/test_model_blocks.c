/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_model_blocks.c - random programs whose threads follow one of each N births, as
 * include/bscope/follow.h has it: what the model says of all objects holds, and it says more than
 * it could if each were followed by itself, as long as it knows that nothing is missing.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/sample.h"
#include "bscope/abi.h"
#include "bscope/buffer.h"
#include "model/model.h"

enum { BIRTHS = 20, OBJECTS = 20000, THREADS = 6, DRAWS = 200, CLASSES = 10, CALLERS = 8 };

/* Sites where objects begin: the number is the place in this table, from 1. */
static const struct site {
	uint32_t klass, place;
	bool caller;
} sites[] = {
	{1, 1, false},	{2, 2, false},	{3, 3, false}, {4, 4, false},
	{5, 5, false},	{6, 6, false},	{7, 7, false}, {7, 7, false},
	{7, 7, false},	{8, 8, false},	{8, 9, false}, {9, 10, true},
	{10, 11, true}, {10, 11, true}, {6, 6, false}, {10, 12, false},
};
#define SITES  (sizeof(sites) / sizeof(sites[0]))
#define PLACES 13u

static uint64_t seed;
static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1dull >> 16;
}

static double uniform(void)
{
	return ((double)(rnd() >> 8) + 0.5) / 0x1p40;
}

enum { CREATED, DROPPED, LIVE, SUMS };

/* By class, and by place and caller. */
static double class_truth[CLASSES + 1][SUMS], site_truth[PLACES][CALLERS + 1][SUMS], truth[SUMS];

static struct bs_model *m;
static uint64_t now;

static void model_new(double mean)
{
	const struct bs_model_opts opts = {.start_ns = 1000};
	const struct bs_sample sample = {BS_SAMPLE_OBJECTS, mean, 0};

	m = bs_model_new(&opts);
	assert_non_null(m);
	assert_int_equal(bs_model_sample(m, 1000, &sample), 0);
	for (uint32_t i = 0; i < SITES; i++)
		assert_int_equal(
			bs_model_births(m, sites[i].klass, sites[i].place, i + 1, sites[i].caller),
			0);
	now = 1000;
}

/* The address of a caller; some share a stratum. */
static uint64_t caller(unsigned code)
{
	return code ? 0x7f0000001000ull * code + 37ull * (code % 6) : 0;
}

/* Left, and behind: of each thread and stratum. */
static uint32_t blocks[THREADS][256][2];

static bool follow(unsigned thread, unsigned stratum)
{
	uint32_t *b = blocks[thread][stratum];

	if (!b[0]) {
		uint32_t place = (uint32_t)(uniform() * BIRTHS);

		b[0] = b[1] + place + 1;
		b[1] = BIRTHS - 1 - place;
	}
	return !--b[0];
}

static void give(unsigned kind, uint64_t id, unsigned site, unsigned code)
{
	struct bs_event ev = {
		.ts_ns = now += 10000,
		.id = 16 * id,
		.pid = 1,
		.tid = 1,
		.place = kind == BSCOPE_KIND_NEW ? sites[site].place : 20,
		.klass_id = sites[site].klass,
		.code = code,
		.type = BS_EVENT_MARK,
		.kind = (uint8_t)kind,
		.has = code ? BS_EVENT_HAS_CALLER : 0,
		.stratum = (uint8_t)BSCOPE_STRATUM(site + 1, caller(code)),
	};

	assert_int_equal(bs_model_event(m, &ev), 0);
}

enum { ADD = 1, SUB = -1 };

static void count(unsigned site, unsigned code, int by, unsigned sum)
{
	truth[sum] += by;
	class_truth[sites[site].klass][sum] += by;
	site_truth[sites[site].place][code][sum] += by;
}

/* What one program does, and what of it the model is told. */
static void run(void)
{
	static struct object {
		unsigned site, code;
		bool followed;
		double end;
	} objects[OBJECTS];
	double usual = 0;
	unsigned thread = 0;

	memset(truth, 0, sizeof(truth));
	memset(class_truth, 0, sizeof(class_truth));
	memset(site_truth, 0, sizeof(site_truth));
	memset(blocks, 0, sizeof(blocks));
	for (unsigned i = 0, looked = 0; i < OBJECTS; i++) {
		struct object *o = &objects[i];

		/* Runs of a few sites in one thread. */
		if (uniform() < 0.1) {
			usual = uniform();
			thread = (unsigned)(rnd() % THREADS);
		}
		o->site = (unsigned)(fmod(usual + pow(uniform(), 3), 1) * SITES);
		o->code = sites[o->site].caller ? 1 + (unsigned)(pow(uniform(), 2) * CALLERS) : 0;
		o->followed = follow(thread, BSCOPE_STRATUM(o->site + 1, caller(o->code)));
		o->end = uniform() < 0.2 ? INFINITY : i - 300 * log(uniform());
		count(o->site, o->code, ADD, CREATED);
		count(o->site, o->code, ADD, LIVE);
		if (o->followed)
			give(BSCOPE_KIND_NEW, i, o->site, o->code);
		if (i % 500 && i != OBJECTS - 1)
			continue;
		while (looked < i && objects[looked].end < i - 3000)
			looked++;
		for (unsigned k = looked; k <= i; k++)
			if (objects[k].end < i) {
				objects[k].end = INFINITY;
				count(objects[k].site, objects[k].code, SUB, LIVE);
				count(objects[k].site, objects[k].code, ADD, DROPPED);
				if (objects[k].followed)
					give(BSCOPE_KIND_DROP, k, objects[k].site, 0);
			}
	}
}

static struct tally {
	unsigned n, held;
	double width, plain;
} tallies[3][SUMS];

static void look(struct tally *t, struct bs_interval is, struct bs_interval plain, double true_)
{
	assert_true(plain.low <= is.low && is.low <= is.value && is.value <= is.high &&
		    is.high <= plain.high);
	if (!is.value)
		return;
	t->n++;
	t->held += is.low <= true_ * (1 + 1e-9) && is.high >= true_ * (1 - 1e-9);
	t->width += is.high - is.low;
	t->plain += plain.high - plain.low;
}

static void look_all(unsigned of, const struct bs_estimate *is, const struct bs_estimate *plain,
		     const double *true_)
{
	look(&tallies[of][CREATED], is->created, plain->created, true_[CREATED]);
	look(&tallies[of][DROPPED], is->dropped, plain->dropped, true_[DROPPED]);
	look(&tallies[of][LIVE], is->live, plain->live, true_[LIVE]);
}

struct rows {
	struct bs_estimate all;
	struct bs_class_row *classes;
	struct bs_site_row *sites;
	size_t nclasses, nsites;
};

static struct rows rows_of(uint64_t places)
{
	struct rows r;

	bs_model_blocks(m, places);
	assert_int_equal(bs_model_estimate(m, &r.all), 0);
	assert_int_equal(bs_model_classes(m, &r.classes, &r.nclasses), 0);
	assert_int_equal(bs_model_sites(m, 0, &r.sites, &r.nsites), 0);
	return r;
}

static void rows_free(struct rows *r)
{
	free(r->classes);
	free(r->sites);
}

static void intervals_hold(void **state)
{
	(void)state;
	memset(tallies, 0, sizeof(tallies));
	seed = 88172645463325252ull;
	for (unsigned d = 0; d < DRAWS; d++) {
		struct rows plain, is;

		model_new(BIRTHS);
		run();
		plain = rows_of(0);
		is = rows_of(THREADS);
		assert_true(is.nclasses == CLASSES && plain.nclasses == CLASSES);
		assert_true(is.nsites == plain.nsites && is.nsites > CLASSES);
		look_all(0, &is.all, &plain.all, truth);
		for (size_t i = 0; i < CLASSES; i++) {
			assert_int_equal(is.classes[i].klass_id, plain.classes[i].klass_id);
			look_all(1, &is.classes[i].estimate, &plain.classes[i].estimate,
				 class_truth[is.classes[i].klass_id]);
		}
		for (size_t i = 0; i < is.nsites; i++)
			look_all(2, &is.sites[i].estimate, &plain.sites[i].estimate,
				 site_truth[is.sites[i].place][is.sites[i].code]);
		rows_free(&plain);
		rows_free(&is);
		bs_model_free(m);
	}
	for (unsigned of = 0; of < 3; of++)
		for (unsigned s = 0; s < SUMS; s++) {
			const struct tally *t = &tallies[of][s];

			if (t->held < 0.94 * t->n)
				print_error("%u, %u: held in %u of %u\n", of, s, t->held, t->n);
			assert_true(t->n >= DRAWS && t->held >= 0.94 * t->n);
			assert_true(t->width < t->plain);
		}
	/* Those of classes with callers among them, and of rows that share their blocks. */
	assert_true(tallies[1][CREATED].width < 0.6 * tallies[1][CREATED].plain);
	assert_true(tallies[2][CREATED].width < 0.6 * tallies[2][CREATED].plain);
}

static bool same(const struct bs_interval *a, const struct bs_interval *b)
{
	return a->low == b->low && a->value == b->value && a->high == b->high;
}

/* What this model says of the first class: is it more than with nothing known? */
static void narrower(bool created, bool live)
{
	struct rows plain = rows_of(0), is = rows_of(THREADS);

	for (size_t i = 0; i < CLASSES; i++) {
		const struct bs_estimate *a = &is.classes[i].estimate;
		const struct bs_estimate *b = &plain.classes[i].estimate;

		if (is.classes[i].klass_id != 1)
			continue;
		assert_true(same(&a->created, &b->created) == !created);
		assert_true(same(&a->dropped, &b->dropped) == !live);
		assert_true(same(&a->live, &b->live) == !live);
		assert_true(same(&a->live_bytes, &b->live_bytes));
	}
	rows_free(&plain);
	rows_free(&is);
	bs_model_free(m);
}

static void what_is_not_certain_is_not_used(void **state)
{
	const struct bs_sample other = {BS_SAMPLE_OBJECTS, 2 * BIRTHS, 0};
	struct bs_event ev = {.type = BS_EVENT_FORGOTTEN, .pid = 1, .tid = 1, .klass_id = 2};
	uint64_t id = 0;

	(void)state;
	seed = 4711;
	model_new(BIRTHS);
	run();
	narrower(true, true);

	model_new(BIRTHS);
	run();
	bs_model_loss(m, now, 1);
	narrower(false, false);

	/* Another rate for a while. */
	model_new(BIRTHS);
	run();
	assert_int_equal(bs_model_sample(m, now, &other), 0);
	narrower(false, false);

	/* Each by itself, as it is with rates that are no whole numbers. */
	model_new(BIRTHS + 0.5);
	run();
	narrower(false, false);

	/* What has become of one is not known: how many there were is. */
	model_new(BIRTHS);
	run();
	for (struct bs_model_totals t = {0}; !t.vanished; id++) {
		assert_true(id < OBJECTS);
		ev.id = 16 * id;
		ev.ts_ns = now;
		assert_int_equal(bs_model_event(m, &ev), 0);
		bs_model_totals(m, &t);
	}
	narrower(true, false);
}

/* Of a place nobody has told of, or of callers that have no number, any stratum may be. */
static void unknown_places(void **state)
{
	const struct bs_model_opts opts = {.start_ns = 1000};
	const struct bs_sample sample = {BS_SAMPLE_OBJECTS, BIRTHS, 0};

	(void)state;
	seed = 99;
	m = bs_model_new(&opts);
	assert_non_null(m);
	assert_int_equal(bs_model_sample(m, 1000, &sample), 0);
	assert_int_equal(bs_model_births(m, 1, 0, 1, false), -EINVAL);
	now = 1000;
	run();
	narrower(false, false);

	m = bs_model_new(&opts);
	assert_non_null(m);
	assert_int_equal(bs_model_sample(m, 1000, &sample), 0);
	for (uint32_t i = 0; i < SITES; i++)
		assert_int_equal(bs_model_births(m, sites[i].klass, sites[i].place, i + 1, true),
				 0);
	now = 1000;
	run();
	narrower(false, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(intervals_hold),
		cmocka_unit_test(what_is_not_certain_is_not_used),
		cmocka_unit_test(unknown_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
