/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_budget.c - programs that are made up, with loads of all sizes that come and go, under the
 * arithmetic of --max-overhead: what tracking then costs, how often it changes its mind, and
 * whether it takes back what it took away.
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

#include "bscope/abi.h"
#include "bscope-trace/budget.h"

#define GROUPS_MAX 64u
#define SKIP	   4.0 /* ns, about what they are */
#define FOLLOW	   40.0
#define OBJECT	   20.0

static uint64_t seed;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1dull;
}

static double uniform(void)
{
	return ((double)(rnd() >> 11) + 0.5) / 9007199254740992.0;
}

/* Many rare events, or few. */
static uint64_t poisson(double mean)
{
	double p = exp(-mean), sum = p, u = uniform();
	uint64_t n = 0;

	if (mean > 50) {
		double z = sqrt(-2 * log(uniform())) * cos(2 * M_PI * u);

		return (uint64_t)fmax(0, round(mean + sqrt(mean) * z));
	}
	while (u > sum && n < 1000)
		sum += p *= mean / (double)++n;
	return n;
}

/* --- a program and a session ------------------------------------------------------------------ */

struct sim {
	struct bs_budget b;
	struct bs_budget_group groups[GROUPS_MAX];
	double load[GROUPS_MAX]; /* marks per second of CPU time */
	double wrong;		 /* true costs, as multiples of those that are assumed */
	unsigned periods, changes, switches;
	double since;	  /* seconds of CPU time that were too few */
	double cpu, cost; /* seconds, since measure() */
	double worst;	  /* share of a period */
};

static void sim_new(struct sim *s, double share, double wrong)
{
	memset(s, 0, sizeof(*s));
	s->b = (struct bs_budget){
		.share = share,
		.mean = BS_BUDGET_FIRST,
		.cost = {SKIP, FOLLOW, OBJECT},
		.groups = s->groups,
	};
	s->wrong = wrong;
}

static void sim_class(struct sim *s, uint32_t klass, double life, double others)
{
	for (unsigned t = 0; t < BS_TIERS; t++) {
		assert_true(s->b.n < GROUPS_MAX);
		s->load[s->b.n] = t == BS_TIER_LIFE ? life : t == BS_TIER_REGION ? 0 : others;
		s->groups[s->b.n++] =
			(struct bs_budget_group){.klass = klass, .tier = (enum bs_budget_tier)t};
	}
}

/* What tracking costs as things are, a share. */
static double cost_now(const struct sim *s)
{
	double sum = 0;

	for (size_t i = 0; i < s->b.n; i++) {
		bool all = s->groups[i].tier == BS_TIER_REGION;

		if (!s->groups[i].off)
			sum += s->load[i] * ((all ? FOLLOW : SKIP + (FOLLOW - SKIP) / s->b.mean) +
					     (s->groups[i].tier == BS_TIER_LIFE ? OBJECT / 2 : 0));
	}
	return sum * s->wrong / 1e9;
}

static void sane(const struct sim *s)
{
	assert_true(s->b.mean >= 1 && s->b.mean <= BS_BUDGET_MOST);
	assert_true(isfinite(s->b.spent) && s->b.spent >= 0);
	for (size_t i = 0; i < s->b.n; i++) {
		const struct bs_budget_group *g = &s->groups[i];

		assert_true(isfinite(g->rate) && g->rate >= 0);
		assert_true(g->wait <= 1000 && g->backoff <= 1000);
		/* Nothing is said of lives that are not seen. */
		for (size_t k = 0; k < s->b.n && g->off && g->tier == BS_TIER_LIFE; k++)
			assert_true(s->groups[k].klass != g->klass || s->groups[k].off);
	}
}

/* A period in which the program had that share of a CPU. */
static void period(struct sim *s, double busy)
{
	double cpu = busy * (s->periods++ < 5 || s->b.probing ? 0.2 : 1), share = cost_now(s);
	bool off[GROUPS_MAX], said;

	for (size_t i = 0; i < s->b.n; i++) {
		double all = s->load[i] * cpu;

		off[i] = s->groups[i].off;
		if (!off[i])
			s->groups[i].hits += poisson(
				s->groups[i].tier == BS_TIER_REGION ? all : all / s->b.mean);
	}
	s->cpu += cpu;
	s->cost += share * cpu;
	if (share > s->worst)
		s->worst = share;
	s->since += cpu;
	if (s->since * 1e9 < BS_BUDGET_LEAST_NS) {
		assert_false(bs_budget_step(&s->b, (uint64_t)(s->since * 1e9), 0));
		return;
	}
	said = bs_budget_step(&s->b, (uint64_t)(s->since * 1e9), 0);
	s->since = 0;
	for (size_t i = 0; i < s->b.n; i++)
		s->groups[i].hits = 0;
	s->changes += said;
	for (size_t i = 0; i < s->b.n; i++) {
		s->switches += off[i] != s->groups[i].off;
		assert_true(said || off[i] == s->groups[i].off);
	}
	sane(s);
}

static void run(struct sim *s, unsigned n, double busy)
{
	for (unsigned i = 0; i < n; i++)
		period(s, busy);
}

/* From now on. */
static void measure(struct sim *s)
{
	s->cpu = s->cost = s->worst = 0;
	s->changes = s->switches = 0;
}

static double average(const struct sim *s)
{
	return s->cpu > 0 ? s->cost / s->cpu : 0;
}

#define BELOW(value, limit)                                                            \
	do {                                                                           \
		double value_ = (value), limit_ = (limit);                             \
		if (value_ > limit_)                                                   \
			fail_msg("%s = %g > %g = %s", #value, value_, limit_, #limit); \
	} while (0)

/* --- what it does ----------------------------------------------------------------------------- */

static const double wrongs[] = {1 / 1.5, 1, 1.5};
static const double shares[] = {0.001, 0.01, 0.05};

/* Any load, any allowance, costs that are not what was measured: below, and nothing moves then. */
static void steady(void **state)
{
	(void)state;
	for (unsigned w = 0; w < 3; w++)
		for (unsigned k = 0; k < 3; k++)
			for (double load = 1e3; load < 1.5e8; load *= 10) {
				struct sim s;

				sim_new(&s, shares[k], wrongs[w]);
				sim_class(&s, 1, load * 0.2, load * 0.2);
				run(&s, 20, 1);
				measure(&s);
				run(&s, 1000, 1);
				BELOW(average(&s), shares[k]);
				/* What is lit again may turn out to cost too much, for a moment. */
				BELOW(s.switches, 60);
				BELOW(s.changes, 130);
			}
}

/* It uses what it is allowed, or all there is is followed. */
static void not_idle(void **state)
{
	(void)state;
	for (double load = 1e3; load < 1e7; load *= 3) {
		struct sim s;

		sim_new(&s, 0.01, 1);
		sim_class(&s, 1, load * 0.9, load * 0.025);
		run(&s, 200, 1);
		measure(&s);
		run(&s, 200, 1);
		if (s.b.mean > 1 && !s.groups[BS_TIER_LIFE].off && average(&s) < 0.003)
			fail_msg("%g marks/s: only %g is used at one in %g", load, average(&s),
				 s.b.mean);
		if (load * FOLLOW / 1e9 < 0.004)
			assert_true(s.b.mean == 1);
	}
}

/* What is said of objects goes before the objects. */
static void order_of_going(void **state)
{
	struct sim s;

	(void)state;
	sim_new(&s, 0.01, 1);
	/* Lives alone fit, with anything else they do not. */
	sim_class(&s, 1, 2e5, 1e6);
	run(&s, 25, 1);
	assert_false(s.groups[BS_TIER_LIFE].off);
	assert_true(s.groups[BS_TIER_USE].off + s.groups[BS_TIER_BORROW].off +
			    s.groups[BS_TIER_COUNT].off + s.groups[BS_TIER_MOVE].off >
		    2);
	/* A small class beside a large one is left alone. */
	sim_new(&s, 0.01, 1);
	sim_class(&s, 1, 1e4, 1e4);
	sim_class(&s, 2, 2e7, 2e7);
	run(&s, 25, 1);
	for (unsigned t = 0; t < BS_TIERS; t++) {
		assert_false(s.groups[t].off);
		assert_true(t == BS_TIER_REGION || s.groups[BS_TIERS + t].off);
	}
}

/* The load goes, and what was taken comes back; it comes, and the budget holds. */
static void phases(void **state)
{
	(void)state;
	for (unsigned w = 0; w < 3; w++) {
		struct sim s;

		sim_new(&s, 0.01, wrongs[w]);
		sim_class(&s, 1, 0, 0);
		for (unsigned round = 0; round < 4; round++) {
			double heavy = round % 2 ? 3e6 : 3e7;

			for (unsigned t = 0; t < BS_TIERS; t++)
				s.load[t] = t == BS_TIER_REGION ? 0 : heavy / 5;
			run(&s, 60, 1);
			measure(&s);
			run(&s, 100, 1);
			BELOW(average(&s), 0.0105);
			for (unsigned t = 0; t < BS_TIERS; t++)
				s.load[t] = t == BS_TIER_REGION ? 0 : 1000;
			/* As long as somebody has to wait who had to go twice. */
			run(&s, 600, 1);
			assert_true(s.b.mean == 1);
			for (unsigned t = 0; t < BS_TIERS; t++)
				assert_false(s.groups[t].off);
		}
	}
}

/* Bursts that are shorter than a period, and a program that sleeps in between. */
static void bursts(void **state)
{
	struct sim s;

	(void)state;
	seed = 77;
	sim_new(&s, 0.01, 1);
	sim_class(&s, 1, 0, 0);
	for (unsigned i = 0; i < 2000; i++) {
		double load = pow(10, 4 + 3 * uniform());

		for (unsigned t = 0; t < BS_TIERS; t++)
			s.load[t] = t == BS_TIER_REGION ? 0 : load / 5;
		if (i == 50)
			measure(&s);
		period(&s, i % 3 ? 1 : 0.05);
	}
	/*
	 * Nobody knows the load of the next period; on average it holds all the same.  What was
	 * planned for the one before costs up to ten times as much in some.
	 */
	BELOW(average(&s), 0.012);
	BELOW(s.switches, 1000);
}

/* Regions are all recorded, however few objects are followed. */
static void regions(void **state)
{
	struct sim s;

	(void)state;
	sim_new(&s, 0.01, 1);
	sim_class(&s, 1, 1e5, 0);
	s.load[BS_TIER_REGION] = 1e7;
	run(&s, 20, 1);
	assert_true(s.groups[BS_TIER_REGION].off);
	assert_false(s.groups[BS_TIER_LIFE].off);
	measure(&s);
	run(&s, 20, 1);
	BELOW(average(&s), 0.01);
}

/* Many classes, each of another size. */
static void many(void **state)
{
	(void)state;
	seed = 5;
	for (unsigned round = 0; round < 200; round++) {
		double wrong = pow(1.5, 2 * uniform() - 1);
		struct sim s;

		sim_new(&s, 0.01, wrong);
		for (uint32_t k = 1; k <= 10; k++)
			sim_class(&s, k, pow(10, 2 + 5 * uniform()), pow(10, 2 + 5 * uniform()));
		run(&s, 30, 1);
		measure(&s);
		run(&s, 500, 1);
		BELOW(average(&s), 0.01);
		/* 60 groups, each of which may be tried again a few times. */
		BELOW(s.switches, 300);
	}
}

/* Sites that do not fit are tried at longer and longer intervals. */
static void backs_off(void **state)
{
	unsigned first, later;
	struct sim s;

	(void)state;
	sim_new(&s, 0.01, 1);
	sim_class(&s, 1, 2e7, 0);
	run(&s, 300, 1);
	first = s.switches;
	run(&s, 3000, 1);
	measure(&s);
	run(&s, 3000, 1);
	later = s.switches;
	assert_true(first >= 1);
	BELOW(later, 2 * 3000.0 / 900 + 2);
	BELOW(average(&s), 0.001);
}

/* No objects have a place in the table: fewer are followed, for as long as that goes on. */
static void full(void **state)
{
	struct sim s;
	double mean;

	(void)state;
	sim_new(&s, 0.01, 1);
	sim_class(&s, 1, 1e4, 0);
	run(&s, 50, 1);
	assert_true(s.b.mean == 1);
	for (unsigned i = 0; i < 10; i++) {
		mean = s.b.mean;
		assert_true(bs_budget_step(&s.b, 1000000000, 1000));
		assert_true(s.b.mean >= 2 * mean);
		sane(&s);
	}
	for (unsigned i = 0; i < 100; i++) {
		bs_budget_step(&s.b, 1000000000, UINT64_MAX);
		sane(&s);
	}
}

/* --- odd cases -------------------------------------------------------------------------------- */

static void nothing(void **state)
{
	struct bs_budget b = {.share = 0.01, .mean = 1000, .cost = {SKIP, FOLLOW}};

	(void)state;
	/* No groups, no CPU time. */
	assert_false(bs_budget_step(&b, 0, 0));
	for (unsigned i = 0; i < 100; i++) {
		bs_budget_step(&b, 1000000000, 0);
		assert_true(b.mean >= 1 && b.mean <= BS_BUDGET_MOST && b.spent == 0);
	}
}

/* What does not run tells nothing, and changes nothing. */
static void idle(void **state)
{
	struct sim s;

	(void)state;
	sim_new(&s, 0.01, 1);
	sim_class(&s, 1, 1e6, 1e6);
	run(&s, 50, 1);
	measure(&s);
	for (unsigned i = 0; i < 1000; i++)
		assert_false(bs_budget_step(&s.b, i % 1000, 0));
	assert_int_equal(s.switches, 0);
	/* Some ms of CPU time a second, in which nothing is hit: it may follow more, no harm done.
	 */
	for (unsigned i = 0; i < BS_TIERS; i++)
		s.load[i] = 0;
	run(&s, 200, 0.002);
	for (unsigned i = 0; i < BS_TIERS; i++)
		assert_false(s.groups[i].off);
}

/* Costs that could not be measured, or contradict each other; any hits. */
static void odd_numbers(void **state)
{
	static const struct bs_budget_cost costs[] = {
		{0, 0, 0}, {4, 4, 0}, {40, 4, 100}, {0, 40, 0}, {1e6, 2e6, 1e6}};

	(void)state;
	seed = 99;
	for (unsigned c = 0; c < 5; c++)
		for (unsigned k = 0; k < 4; k++) {
			struct sim s;

			sim_new(&s, k == 3 ? 1 : shares[k], 1);
			s.b.cost = costs[c];
			for (uint32_t n = 1; n <= 3; n++)
				sim_class(&s, n, 0, 0);
			for (unsigned i = 0; i < 2000; i++) {
				for (size_t g = 0; g < s.b.n; g++)
					s.groups[g].hits = rnd() >> (rnd() % 64);
				bs_budget_step(&s.b, rnd() >> (rnd() % 64),
					       rnd() % 8 ? 0 : rnd() % 99);
				sane(&s);
			}
		}
}

static void tiers(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 256; kind++) {
		enum bs_budget_tier t = bs_budget_tier(kind);

		assert_true(t < BS_TIERS);
		assert_true(bs_budget_tier_name(t)[0]);
	}
	assert_int_equal(bs_budget_tier(BSCOPE_KIND_NEW), BS_TIER_LIFE);
	assert_int_equal(bs_budget_tier(BSCOPE_KIND_DROP), BS_TIER_LIFE);
	assert_int_equal(bs_budget_tier(BSCOPE_KIND_RESIZE_BEGIN), BS_TIER_LIFE);
	assert_int_equal(bs_budget_tier(BSCOPE_KIND_RESIZE_END), BS_TIER_LIFE);
	assert_int_equal(bs_budget_tier(BSCOPE_KIND_RETAIN), BS_TIER_COUNT);
	assert_int_equal(bs_budget_tier(BSCOPE_KIND_RELEASE), BS_TIER_COUNT);
	assert_int_equal(bs_budget_tier(BSCOPE_KIND_BORROW), BS_TIER_BORROW);
	assert_int_equal(bs_budget_tier(BSCOPE_KIND_UNBORROW), BS_TIER_BORROW);
}

static int setup(void **state)
{
	(void)state;
	seed = 88172645463325252ull;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(steady, setup),
		cmocka_unit_test_setup(not_idle, setup),
		cmocka_unit_test_setup(order_of_going, setup),
		cmocka_unit_test_setup(phases, setup),
		cmocka_unit_test_setup(bursts, setup),
		cmocka_unit_test_setup(regions, setup),
		cmocka_unit_test_setup(many, setup),
		cmocka_unit_test_setup(backs_off, setup),
		cmocka_unit_test_setup(full, setup),
		cmocka_unit_test_setup(nothing, setup),
		cmocka_unit_test_setup(idle, setup),
		cmocka_unit_test_setup(odd_numbers, setup),
		cmocka_unit_test_setup(tiers, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
