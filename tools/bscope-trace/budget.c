/* SPDX-License-Identifier: GPL-2.0-only */
/* budget.c - from what was counted to what is followed and what is lit. */
#include "bscope-trace/budget.h"

#include <math.h>

#include "bscope/abi.h"

/*
 * Of what is allowed, what is planned for: costs are measured in a loop, a program has caches. With
 * costs half as much again as was measured, and a mean that is off by SLACK_UP, it is all of it.
 */
#define PLANNED 0.6
/* Of that, what marks may cost that are not even followed. */
#define SKIPS 0.8
/* Sites are lit again when so much is unused: less, and they would go off again. */
#define RELIGHT 0.6
#define CALM	4 /* periods in a row */
/* Tries of what did not fit when it was lit last take so much of what is planned for, at most. */
#define TRIES  0.05
#define PERIOD 0.2 /* of one, in periods */
/*
 * A group that had to go is lit again when what it cost then would fit, since others have become
 * cheaper; but it may have become cheaper itself, which shows only when it is lit: that is tried
 * after so many periods, and after twice as many each time.
 */
#define WAIT_FIRST 30u
#define WAIT_MOST  1000u
/* A mean is changed when it is too small, or too large, by more than this factor. */
#define FEW	   30 /* marks that were seen */
#define SLACK_UP   1.1
#define SLACK_DOWN 1.25

enum bs_budget_tier bs_budget_tier(unsigned kind)
{
	switch (kind) {
	case BSCOPE_KIND_USE:
		return BS_TIER_USE;
	case BSCOPE_KIND_BORROW:
	case BSCOPE_KIND_BORROW_MUT:
	case BSCOPE_KIND_UNBORROW:
		return BS_TIER_BORROW;
	case BSCOPE_KIND_RETAIN:
	case BSCOPE_KIND_RELEASE:
		return BS_TIER_COUNT;
	case BSCOPE_KIND_MOVE:
		return BS_TIER_MOVE;
	case BSCOPE_KIND_REGION_ENTER:
	case BSCOPE_KIND_REGION_EXIT:
		return BS_TIER_REGION;
	default:
		return BS_TIER_LIFE;
	}
}

const char *bs_budget_tier_name(enum bs_budget_tier tier)
{
	static const char *const names[BS_TIERS] = {
		[BS_TIER_USE] = "use",	 [BS_TIER_BORROW] = "borrow", [BS_TIER_COUNT] = "retain",
		[BS_TIER_MOVE] = "move", [BS_TIER_REGION] = "region", [BS_TIER_LIFE] = "new"};

	return names[tier];
}

/* Marks of the period, followed or not.  Those of regions are all recorded. */
static double marks(const struct bs_budget *b, const struct bs_budget_group *g)
{
	return (double)g->hits * (g->tier == BS_TIER_REGION ? 1 : b->mean);
}

/* How much of its rate is certain, from so many marks of objects that were chosen by chance. */
static double certain(const struct bs_budget *b, const struct bs_budget_group *g)
{
	double hits = (double)g->hits, least = hits - 3 * sqrt(hits);

	if (b->mean <= 1 || g->tier == BS_TIER_REGION)
		return 1;
	return least > 0 ? least / hits : 0;
}

/* What all marks of a group cost per second of CPU time if nothing of it is followed: a share. */
static double floor_of(const struct bs_budget *b, const struct bs_budget_group *g)
{
	double ns = b->cost.skip;

	/* An object has two of these, at least. */
	if (g->tier == BS_TIER_LIFE)
		ns += b->cost.object / 2;
	return g->rate * (g->tier == BS_TIER_REGION ? b->cost.follow : ns) / 1e9;
}

static bool lives_off(const struct bs_budget *b, const struct bs_budget_group *g)
{
	for (size_t i = 0; i < b->n; i++)
		if (g->tier != BS_TIER_LIFE && b->groups[i].klass == g->klass &&
		    b->groups[i].tier == BS_TIER_LIFE && b->groups[i].off)
			return true;
	return false;
}

/*
 * The same, as far as it is certain: a few marks that were seen may stand for many, or for fewer.
 * Nothing goes for that; it is looked at more closely, which is what mean_set does.
 */
static double sure_of(const struct bs_budget *b, const struct bs_budget_group *g)
{
	return floor_of(b, g) * g->sure;
}

/* The one to go next: what costs most, and of lives only when nothing else is left. */
static struct bs_budget_group *dearest(const struct bs_budget *b)
{
	struct bs_budget_group *best = NULL;

	for (size_t i = 0; i < b->n; i++) {
		struct bs_budget_group *g = &b->groups[i];

		if (g->off || g->rate <= 0)
			continue;
		if (!best || (g->tier == BS_TIER_LIFE) < (best->tier == BS_TIER_LIFE) ||
		    ((g->tier == BS_TIER_LIFE) == (best->tier == BS_TIER_LIFE) &&
		     sure_of(b, g) > sure_of(b, best)))
			best = g;
	}
	return best;
}

static double floors(const struct bs_budget *b);

/* The cheapest that fits, or waits no longer; lives before what is said of them. */
static struct bs_budget_group *cheapest(const struct bs_budget *b, double allowed)
{
	struct bs_budget_group *best = NULL;

	for (size_t i = 0; i < b->n; i++) {
		struct bs_budget_group *g = &b->groups[i];

		/* What is said of lives is of no use before them. */
		if (!g->off || lives_off(b, g) ||
		    (g->wait && floors(b) + floor_of(b, g) > allowed * SKIPS * RELIGHT))
			continue;
		if (!best || (g->tier == BS_TIER_LIFE) > (best->tier == BS_TIER_LIFE) ||
		    ((g->tier == BS_TIER_LIFE) == (best->tier == BS_TIER_LIFE) &&
		     floor_of(b, g) < floor_of(b, best)))
			best = g;
	}
	return best;
}

static void go_off(struct bs_budget_group *g)
{
	g->off = g->going = true;
	g->backoff = g->backoff ? 2 * g->backoff : WAIT_FIRST;
	if (g->backoff > WAIT_MOST)
		g->backoff = WAIT_MOST;
	g->wait = g->backoff;
}

/* Share of marks that nobody follows, at the floor. */
static double floors(const struct bs_budget *b)
{
	double sum = 0;

	for (size_t i = 0; i < b->n; i++)
		if (!b->groups[i].off)
			sum += floor_of(b, &b->groups[i]);
	return sum;
}

static double sure(const struct bs_budget *b)
{
	double sum = 0;

	for (size_t i = 0; i < b->n; i++)
		if (!b->groups[i].off)
			sum += sure_of(b, &b->groups[i]);
	return sum;
}

/* What is to go and would have fitted after all, when what costs more has gone: the cheapest first.
 */
static void take_back(struct bs_budget *b, double allowed)
{
	struct bs_budget_group *best;

	do {
		best = NULL;
		for (size_t i = 0; i < b->n; i++) {
			struct bs_budget_group *g = &b->groups[i];

			if (g->going && !lives_off(b, g) &&
			    (!best || sure_of(b, g) < sure_of(b, best)))
				best = g;
		}
		if (best && sure(b) + sure_of(b, best) > allowed * SKIPS)
			return;
		if (best) {
			best->off = best->going = false;
			best->wait = 0;
			best->backoff = best->before;
		}
	} while (best);
}

static bool darken(struct bs_budget *b, double allowed)
{
	bool any = false;

	for (size_t i = 0; i < b->n; i++) {
		b->groups[i].going = false;
		b->groups[i].before = b->groups[i].backoff;
	}
	while (sure(b) > allowed * SKIPS) {
		struct bs_budget_group *g = dearest(b);

		if (!g)
			break;
		go_off(g);
		any = true;
		/* Without lives nothing else of the class is of use. */
		for (size_t i = 0; i < b->n && g->tier == BS_TIER_LIFE; i++)
			if (b->groups[i].klass == g->klass && !b->groups[i].off)
				go_off(&b->groups[i]);
	}
	take_back(b, allowed);
	return any;
}

/* To be lit again; or, lit, to be forgiven that it had to go: when it has stayed for as long. */
static void waits(struct bs_budget_group *g)
{
	if (g->wait && !--g->wait && !g->off)
		g->backoff = 0;
}

static bool relight(struct bs_budget *b, double allowed)
{
	struct bs_budget_group *g;

	for (size_t i = 0; i < b->n; i++)
		waits(&b->groups[i]);
	b->pause -= b->pause > 0;
	b->calm = floors(b) < allowed * SKIPS * RELIGHT ? b->calm + 1 : 0;
	if (b->calm < CALM || b->pause)
		return false;
	g = cheapest(b, allowed);
	if (!g)
		return false;
	b->calm = 0;
	g->off = false;
	g->wait = g->backoff;
	b->probing = true;
	return true;
}

/* Marks of followed objects at that rate cost follow - skip more than the floor, rate / mean times.
 */
static bool mean_set(struct bs_budget *b, double allowed, double seconds, uint64_t full)
{
	double left = allowed - floors(b), rate = 0, hits, mean = b->mean;
	bool any = false;

	for (size_t i = 0; i < b->n; i++)
		if (!b->groups[i].off && b->groups[i].tier != BS_TIER_REGION) {
			any = true;
			rate += b->groups[i].rate;
		}
	/*
	 * Few were seen, or none: there may be more.  Nothing is lit: nothing is known.  Where so
	 * little is certain, more is followed by steps, and then more is known.
	 */
	hits = rate * seconds / b->mean;
	if (any && left > 0) {
		double ns = (b->cost.follow - b->cost.skip) / left / 1e9;

		mean = (rate + (2 * sqrt(hits) + 3) * b->mean / seconds) * ns;
		if (hits < FEW)
			mean = fmin(mean, fmax(rate * ns, b->mean / 2));
	}
	if (full && mean < 2 * b->mean)
		mean = 2 * b->mean;
	/* Down only by steps: a moment's rest is no reason to follow everything. */
	if (mean < b->mean / 4)
		mean = b->mean / 4;
	if (mean < b->mean)
		mean *= SLACK_UP;
	mean = ceil(mean);
	if (!(mean > 1))
		mean = 1;
	if (mean > BS_BUDGET_MOST)
		mean = BS_BUDGET_MOST;
	if (mean <= b->mean * SLACK_UP && mean >= b->mean / SLACK_DOWN)
		return false;
	b->mean = mean;
	return true;
}

bool bs_budget_step(struct bs_budget *b, uint64_t cpu_ns, uint64_t full)
{
	double seconds = (double)cpu_ns / 1e9, allowed = b->share * PLANNED, spent = 0;
	double pause;
	bool changed;

	/* Too little to tell anything: what does not run costs nothing. */
	if (cpu_ns < BS_BUDGET_LEAST_NS)
		return false;
	for (size_t i = 0; i < b->n; i++) {
		struct bs_budget_group *g = &b->groups[i];

		if (g->off)
			continue;
		g->rate = marks(b, g) / seconds;
		g->sure = certain(b, g);
		spent += floor_of(b, g);
		if (g->tier != BS_TIER_REGION)
			spent += (double)g->hits / seconds * (b->cost.follow - b->cost.skip) / 1e9;
	}
	b->spent = spent;
	/* What was tried did cost too much. */
	if (b->probing && spent > allowed) {
		pause = spent * PERIOD / (allowed * TRIES);
		b->pause = pause < WAIT_MOST ? (unsigned)pause : WAIT_MOST;
	}
	b->probing = false;
	changed = darken(b, allowed);
	changed |= relight(b, allowed);
	return mean_set(b, allowed, seconds, full) || changed;
}
