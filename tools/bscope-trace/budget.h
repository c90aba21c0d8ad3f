/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * budget.h - keeps tracking's share of the CPU time of what is traced below what the user allows:
 * decides how many objects are followed, and at the floor which sites go dark.
 *
 * It is told what was counted in a period and decides for the next one.  Pure arithmetic: the
 * session measures, lights and darkens.
 *
 * A mark of an object that is not followed costs little, but not nothing, and no sampling makes
 * that less: where it is too much already, sites have to go, those first that are hit most and
 * without which the objects themselves are still known.
 */
#ifndef BS_TRACE_BUDGET_H
#define BS_TRACE_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What goes together: marks of one class that mean something only with each other. */
enum bs_budget_tier {
	BS_TIER_USE = 0, /* use */
	BS_TIER_BORROW,	 /* borrow, borrow_mut, unborrow */
	BS_TIER_COUNT,	 /* retain, release */
	BS_TIER_MOVE,	 /* move */
	BS_TIER_REGION,	 /* region_enter, region_exit */
	BS_TIER_LIFE,	 /* new, drop, resize_begin, resize_end: without them nothing is known */
	BS_TIERS,
};
enum bs_budget_tier bs_budget_tier(unsigned kind);
/* "use", "borrow", ... as in "the 3 borrow sites of class conn". */
const char *bs_budget_tier_name(enum bs_budget_tier tier);

struct bs_budget_group {
	uint32_t klass;
	enum bs_budget_tier tier;
	uint64_t hits; /* received in the period */
	bool off;      /* dark now; bs_budget_step says what is to be */
	double rate;   /* of its marks per second of CPU time when last seen, followed or not */
	double sure;   /* part of it that is certain */
	unsigned wait; /* periods to go before it may be lit again; lit: before that is forgiven */
	unsigned backoff;
	unsigned before; /* backoff before this step */
	bool going;	 /* in this step */
	bool forget;	 /* the session's: what the model has still to be told: it went dark, */
	bool lit;	 /* or it was lit again */
};

struct bs_budget_cost {
	double skip;   /* ns of a mark of an object that is not followed */
	double follow; /* of one that is */
	/*
	 * Of an object, followed or not, what its first mark costs more where the table is not in
	 * the cache: programs have other things there, other programs use it too.
	 */
	double object;
};

struct bs_budget {
	double share; /* allowed, of the CPU time: 0.01 */
	double mean;  /* one object in so many is followed */
	struct bs_budget_cost cost;
	struct bs_budget_group *groups;
	size_t n;
	double spent;	      /* share of the last period, as computed */
	unsigned calm, pause; /* periods: nothing cost too much; nothing is lit again */
	bool probing;	      /* a group was lit again: what it costs should be looked at soon */
};

/* The first mean: dear enough for nobody to be hurt before it is known what things cost. */
#define BS_BUDGET_FIRST 1000.0
#define BS_BUDGET_MOST	1000000.0
/* CPU time of which nothing can be said yet: it belongs to the next period. */
#define BS_BUDGET_LEAST_NS 2000000u

/*
 * A period has passed in which what is traced used cpu_ns of CPU time and the groups were hit as
 * they say.  full: objects that found no place in the table.  Says mean and off anew; true if
 * anything is to change.
 */
bool bs_budget_step(struct bs_budget *b, uint64_t cpu_ns, uint64_t full);

#endif
