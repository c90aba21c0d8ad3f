/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_estimate.c - intervals hold the truth: exactly, by adding up all outcomes, where objects are
 * counted; by repeated draws from random streams else.
 *
 * BSCOPE_ESTIMATE_RUNS=N: N times as many draws.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/beta.h"
#include "model/estimate.h"
#include "model/gamma.h"

#define LEAST 0.94
#define DRAWS 3000 /* 94 % and 92 % are more than four standard errors apart */
#define POPS  30   /* populations that these are drawn from */
#define LARGE (1 << 20)

static uint64_t seed;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1dull;
}

/* Between 0 and 1, never either. */
static double uniform(void)
{
	return ((double)(rnd() >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(void)
{
	return sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform());
}

static unsigned runs(void)
{
	const char *env = getenv("BSCOPE_ESTIMATE_RUNS");

	return env && atoi(env) > 0 ? (unsigned)atoi(env) : 1;
}

/* --- sizes ---------------------------------------------------------------------------------------
 */

static double constant(void)
{
	return 48;
}

static double exponential(void)
{
	return ceil(-200 * log(uniform()));
}

static double lognormal(void)
{
	return ceil(100 * exp(2 * normal()));
}

static double pareto(void)
{
	return ceil(16 * pow(uniform(), -1 / 1.2));
}

static double mixture(void)
{
	return uniform() < 0.1 ? 4096 : 64;
}

static double rare(void)
{
	return uniform() < 0.001 ? LARGE : 16;
}

static const struct stream {
	const char *name;
	double (*bytes)(void);
} streams[] = {
	{"constant", constant}, {"exponential", exponential}, {"lognormal", lognormal},
	{"pareto", pareto},	{"mixture", mixture},	      {"rare", rare},
};
#define STREAMS (sizeof(streams) / sizeof(streams[0]))

/* Objects of one row, and the truth about them. */
struct pop {
	size_t n;
	double *y, *w, sum, least, most; /* w: the weight by bytes */
};

static struct pop pop_make(const struct stream *stream, double mean, size_t n)
{
	struct pop p = {.n = n, .y = calloc(2 * n, sizeof(double)), .least = INFINITY};

	assert_non_null(p.y);
	p.w = p.y + n;
	for (size_t i = 0; i < n; i++) {
		p.y[i] = stream->bytes();
		p.w[i] = bs_weight_bytes(mean, (uint64_t)p.y[i]);
		p.sum += p.y[i];
		p.least = fmin(p.least, p.y[i]);
		p.most = fmax(p.most, p.y[i]);
	}
	return p;
}

/* One in n of the objects from..to - 1. */
static void draw(const struct pop *p, size_t from, size_t to, double n, struct bs_sampled *count,
		 struct bs_sampled *bytes)
{
	double w = bs_weight_count(n), gap = log1p(-1 / n), i = (double)from;

	for (;; i++) {
		/* So many are passed over; none where all are followed. */
		i += w > 1 ? floor(log(uniform()) / gap) : 0;
		if (!(i < (double)to))
			return;
		bs_sampled_add(count, w, 1);
		bs_sampled_add(bytes, w, p->y[(size_t)i]);
	}
}

static void draw_bytes(const struct pop *p, struct bs_sampled *count, struct bs_sampled *bytes)
{
	for (size_t i = 0; i < p->n; i++) {
		if (uniform() * p->w[i] >= 1)
			continue;
		bs_sampled_add(count, p->w[i], 1);
		bs_sampled_add(bytes, p->w[i], p->y[i]);
	}
}

/* --- how often it holds --------------------------------------------------------------------------
 */

struct tally {
	unsigned n, held, shown, shown_held;
};

static void tally(struct tally *t, const struct bs_sampled *s, double truth)
{
	struct bs_interval iv = bs_sampled_interval(s);
	/* Sums in another order differ in their last digits. */
	bool held = iv.low <= truth * (1 + 1e-9) && iv.high >= truth * (1 - 1e-9);

	assert_true(s->seen <= iv.low && iv.low <= iv.value && iv.value <= iv.high);
	t->n++;
	t->held += held;
	t->shown += s->n > 0;
	t->shown_held += s->n > 0 && held;
}

static double share(unsigned part, unsigned all)
{
	return all ? (double)part / all : 1;
}

static void expect(const struct tally *t, const char *what, const char *stream, double rate,
		   double objects)
{
	double held = share(t->held, t->n), shown = share(t->shown_held, t->shown);

	/* A few hundred draws say nothing about 94 %. */
	if (held >= LEAST && (shown >= LEAST || t->shown < 1000))
		return;
	print_error("%s, %s, rate %g, %g objects: held in %.4f of %u draws, %.4f of %u shown\n",
		    what, stream, rate, objects, held, t->n, shown, t->shown);
	fail();
}

/* --- the parts -----------------------------------------------------------------------------------
 */

static void test_gamma(void **state)
{
	/* Chi-square with so many degrees of freedom, as tabulated: at 2.5 % and 97.5 %. */
	static const double table[][3] = {
		{1, 0.000982069, 5.02389}, {2, 0.0506356, 7.37776}, {4, 0.484419, 11.1433},
		{10, 3.24697, 20.4832},	   {20, 9.59078, 34.1696},  {30, 16.7908, 46.9792},
		{100, 74.2219, 129.561},
	};
	static const double shapes[] = {1e-3, 0.3, 1, 2.5, 40, 1e3, 1e5, 9.9e5, 1e7};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		double shape = table[i][0] / 2;

		assert_true(fabs(2 * bs_gamma_quantile(shape, 0.025) / table[i][1] - 1) < 5e-6);
		assert_true(fabs(2 * bs_gamma_quantile(shape, 0.975) / table[i][2] - 1) < 5e-6);
	}
	/* There and back; the exponential distribution has a formula. */
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		for (double p = 0.005; p < 1; p += 0.01) {
			double x = bs_gamma_quantile(shapes[i], p);

			if (x > 0)
				assert_true(fabs(bs_gamma_below(shapes[i], x) - p) < 1e-5);
			if (shapes[i] == 1)
				assert_true(fabs(x / -log1p(-p) - 1) < 1e-6);
		}
	assert_true(bs_gamma_quantile(0, 0.5) == 0);
	assert_true(bs_gamma_quantile(1e-9, 0.975) == 0);
	assert_true(bs_gamma_below(3, 0) == 0);
	assert_true(bs_gamma_below(3, 1e4) == 1);
}

/* So many successes or more, added up one after the other. */
static void test_beta(void **state)
{
	static const double trials[] = {1, 2, 7, 50, 400, 3000};
	static const double chances[] = {1e-6, 0.001, 0.1, 0.5, 0.9, 0.999, 1 - 1e-6};

	(void)state;
	for (size_t i = 0; i < sizeof(trials) / sizeof(trials[0]); i++)
		for (size_t j = 0; j < sizeof(chances) / sizeof(chances[0]); j++) {
			double n = trials[i], p = chances[j], more = 0;

			for (double k = n; k >= 1; k--) {
				int sign;

				more += exp(lgamma_r(n + 1, &sign) - lgamma_r(k + 1, &sign) -
					    lgamma_r(n - k + 1, &sign) + k * log(p) +
					    (n - k) * log1p(-p));
				assert_true(fabs(bs_beta_below(k, n - k + 1, p) - more) < 1e-9);
			}
		}
	assert_true(bs_beta_below(3, 4, 0) == 0 && bs_beta_below(3, 4, 1) == 1);
	/* The arcsine distribution. */
	assert_true(fabs(bs_beta_below(0.5, 0.5, 0.3) - 2 / M_PI * asin(sqrt(0.3))) < 1e-12);
}

static void test_weights(void **state)
{
	(void)state;
	assert_true(bs_weight_count(0) == 1 && bs_weight_count(1) == 1);
	assert_true(bs_weight_count(100) == 100);
	assert_true(bs_weight_bytes(0, 100) == 1);
	assert_true(bs_weight_bytes(512, 0) == bs_weight_bytes(512, 1));
	/* A double cannot tell exp(-1e-12) from 1 to more than four digits. */
	assert_true(fabs(bs_weight_bytes(1e12, 1) / (1e12 + 0.5) - 1) < 1e-15);
	assert_true(fabs(bs_weight_bytes(1000, 1000) - 1 / (1 - exp(-1))) < 1e-12);
	assert_true(bs_weight_bytes(1000, 1000000) == 1);
	assert_true(bs_weight_bytes(1000, UINT64_MAX) == 1);
	assert_true(bs_weight_either(1, 1000, 1) == 1 && bs_weight_either(100, 0, 1) == 1);
	assert_true(fabs(bs_weight_either(100, 1000, 1000) - 1 / (1 - 0.99 * exp(-1))) < 1e-12);
	assert_true(fabs(bs_weight_either(100, 1e15, 1) / 100 - 1) < 1e-10);
}

/* The sum is unbiased; what is certain has no width; nothing told, no end. */
static void test_ends(void **state)
{
	struct bs_sampled s = {0};
	struct bs_interval iv = bs_sampled_interval(&s);

	(void)state;
	assert_true(iv.value == 0 && iv.low == 0 && isinf(iv.high));

	bs_sampled_unseen(&s, 1, INFINITY);
	for (int i = 0; i < 10; i++)
		bs_sampled_add(&s, 1, 7);
	iv = bs_sampled_interval(&s);
	assert_true(iv.value == 70 && iv.low == 70 && iv.high == 70);
	assert_int_equal(s.n, 10);

	/* Half of the objects: three of them stand for six. */
	for (int i = 0; i < 3; i++)
		bs_sampled_add(&s, 2, 1);
	bs_sampled_unseen(&s, 2, 1);
	iv = bs_sampled_interval(&s);
	assert_true(iv.value == 76 && iv.low >= 73 && iv.low < 76 && iv.high > 80);
	bs_sampled_unseen(&s, 2, INFINITY);
	assert_true(isinf(bs_sampled_interval(&s).high));

	/* Weights down to those that no double tells from 1. */
	for (double y = 1; y < 1e6; y = ceil(y * 1.03)) {
		s = (struct bs_sampled){0};
		bs_sampled_add(&s, bs_weight_bytes(512, (uint64_t)y), y);
		bs_sampled_unseen(&s, bs_weight_bytes(512, 1), 1);
		iv = bs_sampled_interval(&s);
		assert_true(iv.low == y && iv.high > y && iv.high < y + 8 * 512);
	}
	s = (struct bs_sampled){0};
	bs_sampled_add(&s, 1 + 1e-15, 1e15);
	bs_sampled_unseen(&s, bs_weight_bytes(512, 1), 1);
	iv = bs_sampled_interval(&s);
	assert_true(iv.low >= 1e15 && iv.high < 1e15 + 4 * 512 + 2);
}

/* --- counts: all outcomes ------------------------------------------------------------------------
 */

#define MOST 400 /* followed */

/* By blocks: how much of each counts. */
static double one_in_all(double at)
{
	(void)at;
	return 1;
}

static double a_part(double at)
{
	(void)at;
	return 0.3;
}

static double halves(double at)
{
	return at < 0.5 ? 1 : 0;
}

static double rising(double at)
{
	return at;
}

static double few(double at)
{
	return at < 0.02 ? 1 : 0.01;
}

static struct bs_interval blocks_interval(unsigned followed, double n, double blocks)
{
	struct bs_sampled s = {0};

	for (unsigned i = 0; i < followed; i++)
		bs_sampled_add(&s, n, 1);
	bs_sampled_unseen(&s, n, 1);
	return bs_sampled_blocks(&s, n, blocks);
}

/* The probability that the interval holds, over all outcomes of so many blocks. */
static void blocks_hold(double (*part)(double), double n, unsigned blocks, double more)
{
	double *p = calloc(blocks + 1u, sizeof(*p)), truth = 0, held = 0, missed_unseen = 0;
	double shown;

	assert_non_null(p);
	p[0] = 1;
	for (unsigned i = 0; i < blocks; i++) {
		/* Whole objects. */
		double q = round(n * part((i + 0.5) / blocks)) / n;

		truth += n * q;
		for (unsigned k = i + 1; k; k--)
			p[k] = p[k] * (1 - q) + p[k - 1] * q;
		p[0] *= 1 - q;
	}
	for (unsigned k = 0; k <= blocks; k++) {
		struct bs_interval iv = blocks_interval(k, n, blocks + more);

		assert_true(k <= iv.low && iv.low <= iv.value && iv.value <= iv.high);
		if (iv.low <= truth * (1 + 1e-9) && iv.high >= truth * (1 - 1e-9))
			held += p[k];
		else if (!k)
			missed_unseen = p[0];
	}
	shown = (held - (p[0] - missed_unseen)) / (1 - p[0]);
	if (held < 0.95 || (p[0] < 1 && shown < LEAST)) {
		print_error("%u blocks of %g, %g more: held %.4f, not shown %.4f\n", blocks, n,
			    more, held, p[0]);
		fail();
	}
	free(p);
}

static void test_blocks_exactly(void **state)
{
	static double (*const parts[])(double) = {one_in_all, a_part, halves, rising, few};
	static const double rates[] = {2, 10, 100, 1000};
	static const unsigned blocks[] = {1, 2, 3, 5, 10, 30, 100, 300};

	(void)state;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		for (size_t j = 0; j < sizeof(rates) / sizeof(rates[0]); j++)
			for (size_t k = 0; k < sizeof(blocks) / sizeof(blocks[0]); k++)
				for (double more = 0; more < 100; more = 4 * more + 1)
					blocks_hold(parts[i], rates[j], blocks[k], more);
}

/* What fills its blocks is known to what is left in those at the ends; of many nothing is. */
static void test_blocks_width(void **state)
{
	struct bs_interval plain = blocks_interval(1000, 100, 1e9), iv;

	(void)state;
	iv = blocks_interval(1000, 100, 1000);
	assert_true(iv.high == 100000 && iv.low > 99600 && iv.low < 99700);
	iv = blocks_interval(1000, 100, 1016);
	assert_true((iv.high - iv.low) / 2 < 0.01 * iv.value);
	assert_true((plain.high - plain.low) / 2 > 0.06 * plain.value);
	/* 250 of 1000: Clopper and Pearson, 0.2234 to 0.2781. */
	iv = blocks_interval(250, 100, 1000);
	assert_true(fabs(iv.low / 22340 - 1) < 2e-3 && fabs(iv.high / 27810 - 1) < 2e-3);
	/* It cannot be. */
	iv = blocks_interval(1000, 100, 999);
	assert_true(iv.low == plain.low && iv.high == plain.high);
	iv = blocks_interval(0, 100, 3);
	assert_true(iv.low == 0 && iv.high > 100);
}

static double log_binomial(double n, double k, double p)
{
	int sign;

	return lgamma_r(n + 1, &sign) - lgamma_r(k + 1, &sign) - lgamma_r(n - k + 1, &sign) +
	       k * log(p) + (n - k) * log1p(-p);
}

/* The probability that the interval holds, for every total up to where MOST are too few. */
static void test_counts_exactly(void **state)
{
	static const double rates[] = {1.001, 1.01, 1.1, 1.5, 2,   3,	4,    8,
				       10,    16,   30,	 50,  100, 256, 1000, 100000};
	struct bs_interval iv[MOST];

	(void)state;
	for (size_t j = 0; j < sizeof(rates) / sizeof(rates[0]); j++) {
		double p = 1 / rates[j];
		struct bs_sampled s = {0};

		bs_sampled_unseen(&s, rates[j], 1);
		for (int k = 0; k < MOST; k++) {
			iv[k] = bs_sampled_interval(&s);
			bs_sampled_add(&s, rates[j], 1);
		}
		for (double n = 1; n * p + 6 * sqrt(n * p) + 6 < MOST; n = ceil(n * 1.003 + 0.5)) {
			double held = 0, none = exp(n * log1p(-p)), shown;

			for (int k = 0; k < MOST && k <= n; k++)
				if (iv[k].low <= n + 1e-9 && iv[k].high >= n - 1e-9)
					held += exp(log_binomial(n, k, p));
			shown = (held - (iv[0].high >= n ? none : 0)) / (1 - none);
			if (held >= 0.949 && shown >= 0.945)
				continue;
			print_error("one in %g of %g: held %.4f, where shown %.4f\n", rates[j], n,
				    held, shown);
			fail();
		}
	}
}

/* Not wider than it must be: one and a half per cent more than 1.96 standard errors at 1,600. */
static void test_width(void **state)
{
	struct bs_sampled s = {0};
	struct bs_interval iv;

	(void)state;
	bs_sampled_unseen(&s, 100, 1);
	for (int i = 0; i < 1600; i++)
		bs_sampled_add(&s, 100, 1);
	iv = bs_sampled_interval(&s);
	assert_true((iv.high - iv.low) / 2 / iv.value < 0.05);
	assert_true((iv.high - iv.low) / 2 / iv.value < 1.015 * 1.96 * sqrt(0.99 / 1600));
}

/* --- streams -------------------------------------------------------------------------------------
 */

/* How objects are followed, and what is said of those that were not. */
struct way {
	const char *name;
	void (*follow)(const struct pop *p, double rate, struct bs_sampled *count,
		       struct bs_sampled *bytes);
};

static void by_count(const struct pop *p, double rate, struct bs_sampled *count,
		     struct bs_sampled *bytes)
{
	draw(p, 0, p->n, rate, count, bytes);
	bs_sampled_unseen(count, rate, 1);
	bs_sampled_unseen(bytes, rate, p->most);
}

static void by_bytes(const struct pop *p, double rate, struct bs_sampled *count,
		     struct bs_sampled *bytes)
{
	draw_bytes(p, count, bytes);
	bs_sampled_unseen(count, bs_weight_bytes(rate, (uint64_t)p->least), 1);
	bs_sampled_unseen(bytes, bs_weight_bytes(rate, 1), 1);
}

/* All are followed, then one in 4, one in 30, one in rate: a different number of objects each. */
static void by_phases(const struct pop *p, double rate, struct bs_sampled *count,
		      struct bs_sampled *bytes)
{
	const double rates[] = {1, 4, 30, rate};
	size_t from = 0;

	for (unsigned i = 0; i < 4; i++) {
		size_t to = i < 3 ? p->n * (i + 1) * (i + 1) / 16 : p->n;

		draw(p, from, to, rates[i], count, bytes);
		from = to;
	}
	bs_sampled_unseen(count, rate, 1);
	bs_sampled_unseen(bytes, rate, p->most);
}

/* count may be NULL. */
static void repeat(const struct way *way, const struct stream *stream, double rate, size_t n,
		   struct tally *count, struct tally *bytes)
{
	for (unsigned i = 0; i < POPS * runs(); i++) {
		struct pop p = pop_make(stream, rate, n);

		for (unsigned r = 0; r < DRAWS / POPS; r++) {
			struct bs_sampled c = {0}, b = {0};

			way->follow(&p, rate, &c, &b);
			if (count)
				tally(count, &c, (double)n);
			tally(bytes, &b, p.sum);
		}
		free(p.y);
	}
}

/* Every stream at these rates, with up to so many objects. */
static void test_way(const struct way *way, const double *rates, const size_t *sizes, bool scaled)
{
	for (size_t i = 0; i < STREAMS; i++)
		for (size_t j = 0; rates[j] > 0; j++)
			for (size_t k = 0; sizes[k]; k++) {
				size_t n = scaled ? sizes[k] * (size_t)rates[j] : sizes[k];
				struct tally count = {0}, bytes = {0};

				/* Sizes make no difference to counts by count. */
				repeat(way, &streams[i], rates[j], n, scaled && i ? NULL : &count,
				       &bytes);
				expect(&count, way->name, streams[i].name, rates[j], (double)n);
				expect(&bytes, way->name, streams[i].name, rates[j], (double)n);
			}
}

static void test_by_count(void **state)
{
	static const struct way way = {"one in N", by_count};
	static const double rates[] = {3, 100, 0};
	static const size_t followed[] = {1, 2, 5, 12, 30, 120, 0};

	(void)state;
	seed = 1;
	test_way(&way, rates, followed, true);
}

static void test_by_bytes(void **state)
{
	static const struct way way = {"by bytes", by_bytes};
	static const double means[] = {512, 16384, 524288, 0};
	static const size_t objects[] = {2, 10, 200, 0};

	(void)state;
	seed = 2;
	test_way(&way, means, objects, false);
}

static void test_by_phases(void **state)
{
	static const struct way way = {"in phases", by_phases};
	static const double rates[] = {40, 1000, 0};
	static const size_t objects[] = {16, 100, 600, 0};

	(void)state;
	seed = 3;
	test_way(&way, rates, objects, false);
}

/* The rates are those of one in N; the mean follows as many bytes as 64 N objects of one byte. */
static void by_either(const struct pop *p, double rate, struct bs_sampled *count,
		      struct bs_sampled *bytes)
{
	double mean = 64 * rate;

	for (size_t i = 0; i < p->n; i++) {
		uint64_t b = (uint64_t)p->y[i];
		double w;

		if (uniform() * rate >= 1 && -mean * log(uniform()) >= (double)b)
			continue;
		w = bs_weight_either(rate, mean, b);
		bs_sampled_add(count, w, 1);
		bs_sampled_add(bytes, w, p->y[i]);
	}
	bs_sampled_unseen(count, bs_weight_either(rate, mean, (uint64_t)p->least), 1);
	bs_sampled_unseen(bytes, bs_weight_bytes(mean, 1), 1);
}

static void test_by_either(void **state)
{
	static const struct way way = {"either", by_either};
	static const double rates[] = {10, 100, 0};
	static const size_t objects[] = {10, 300, 0};

	(void)state;
	seed = 4;
	test_way(&way, rates, objects, false);
}

/* Objects come and go; what is alive at three moments. */
static void test_live(void **state)
{
	enum { OBJECTS = 1500, MOMENTS = 3 };
	static const double rates[] = {3, 30, 300};
	struct tally count[MOMENTS], bytes[MOMENTS];
	static double death[OBJECTS];

	(void)state;
	seed = 5;
	for (size_t j = 0; j < 3; j++) {
		memset(count, 0, sizeof(count));
		memset(bytes, 0, sizeof(bytes));
		for (unsigned d = 0; d < POPS * runs(); d++) {
			struct pop p = pop_make(&streams[4], 0, OBJECTS);
			double n[MOMENTS] = {0}, sum[MOMENTS] = {0};

			/* Most die soon, some never. */
			for (int i = 0; i < OBJECTS; i++)
				death[i] = uniform() < 0.05 ? INFINITY : i - 20 * log(uniform());
			for (int i = 0; i < OBJECTS; i++)
				for (int m = 0; m < MOMENTS; m++)
					if (i < (m + 1) * OBJECTS / 3 &&
					    death[i] >= (m + 1) * OBJECTS / 3) {
						n[m]++;
						sum[m] += p.y[i];
					}
			for (unsigned r = 0; r < DRAWS / POPS; r++) {
				struct bs_sampled c[MOMENTS] = {{0}}, b[MOMENTS] = {{0}};

				for (int i = 0; i < OBJECTS; i++) {
					if (uniform() * rates[j] >= 1)
						continue;
					for (int m = 0; m < MOMENTS; m++)
						if (i < (m + 1) * OBJECTS / 3 &&
						    death[i] >= (m + 1) * OBJECTS / 3) {
							bs_sampled_add(&c[m], rates[j], 1);
							bs_sampled_add(&b[m], rates[j], p.y[i]);
						}
				}
				for (int m = 0; m < MOMENTS; m++) {
					bs_sampled_unseen(&c[m], rates[j], 1);
					bs_sampled_unseen(&b[m], rates[j], p.most);
					tally(&count[m], &c[m], n[m]);
					tally(&bytes[m], &b[m], sum[m]);
				}
			}
			free(p.y);
		}
		for (int m = 0; m < MOMENTS; m++) {
			expect(&count[m], "alive", "mixture", rates[j], m);
			expect(&bytes[m], "alive", "mixture", rates[j], m);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gamma),	     cmocka_unit_test(test_weights),
		cmocka_unit_test(test_ends),	     cmocka_unit_test(test_counts_exactly),
		cmocka_unit_test(test_width),	     cmocka_unit_test(test_by_count),
		cmocka_unit_test(test_by_bytes),     cmocka_unit_test(test_by_phases),
		cmocka_unit_test(test_by_either),    cmocka_unit_test(test_live),
		cmocka_unit_test(test_beta),	     cmocka_unit_test(test_blocks_exactly),
		cmocka_unit_test(test_blocks_width),
	};

	return cmocka_run_group_tests_name("estimate", tests, NULL, NULL);
}
