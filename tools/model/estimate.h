/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * estimate.h - from a sample of objects to sums over all of them, with 95 % intervals.
 *
 * Each object was followed or not with a probability known for those that were: independently, or
 * by blocks, of each n births exactly one.  Its weight is 1 / probability; its value is 1 where
 * objects are counted, or its bytes.  Any thread may call these; nothing is kept between calls.
 */
#ifndef BS_MODEL_ESTIMATE_H
#define BS_MODEL_ESTIMATE_H

#include <stdbool.h>
#include <stdint.h>

/* The weight of an object where one in n is followed; n of 1 and less: all of them. */
double bs_weight_count(double n);
/*
 * The weight of an object of so many bytes (0 counts as 1) where every byte has a chance of 1 /
 * mean to make its object followed: 1 / (1 - exp(-bytes / mean)).  mean of 0 and less: all are
 * followed.
 */
double bs_weight_bytes(double mean, uint64_t bytes);

/* The weight where an object is followed if either says so.  Where one of them says all: 1. */
double bs_weight_either(double n, double mean, uint64_t bytes);

/* A sum over all objects.  All zero is the empty one, which knows nothing of what was missed. */
struct bs_sampled {
	uint64_t n;		    /* followed objects */
	double seen;		    /* their values: sum of y */
	double rest;		    /* an estimate of the others': sum of (w - 1) y */
	double var;		    /* the variance of its error: sum of w (w - 1) y^2 */
	double top_y;		    /* the greatest y of those with a weight above 1 */
	double step;		    /* the greatest y of those that are hardly ever missed */
	double miss_rest, miss_var; /* at most these terms has one that was missed */
	bool bounded;		    /* whether that is known */
};

/* Adds a followed object of weight w >= 1 and value y >= 0. */
void bs_sampled_add(struct bs_sampled *s, double w, double y);

/*
 * Says that an object of weight w >= 1 and value y may have been missed, and none that would count
 * for more.  Without a bound nothing can be said about the upper end: among what was not followed
 * there may be an object of any size.  Of several calls the greatest holds; y may be INFINITY.
 * What is certain:
 *   counts, one in N followed:   (N, 1), N the greatest that was in force
 *   bytes, by bytes or either:   (bs_weight_bytes(mean, 1), 1), mean the greatest in force
 *   counts, by bytes:            (bs_weight_bytes(mean, b), 1), b the size of the smallest object
 *   counts, either:              (bs_weight_either(N, mean, b), 1)
 *   bytes, one in N:             (N, b), b the size of the largest object, if anything tells it
 * The largest of those followed is no such bound: a table of half a megabyte among small objects is
 * missed by 99 samples of 100, and none of them shows that it could be there (bench/sampling.c).
 */
void bs_sampled_unseen(struct bs_sampled *s, double w, double y);

/* Adds what another one knows; bounds (below) are not merged. */
void bs_sampled_merge(struct bs_sampled *to, const struct bs_sampled *from);

struct bs_interval {
	double value;	  /* the unbiased estimate */
	double low, high; /* high is INFINITY where there is no bound */
};

/*
 * The sum, and an interval that holds it in 95 % of all draws or more, and in 94 % or more of those
 * draws in which an object was followed at all (what has none is not shown).
 * seen <= low <= value <= high; where every weight is and could have been 1, all are equal.
 */
struct bs_interval bs_sampled_interval(const struct bs_sampled *s);

/*
 * The same of a count, where exactly one of each block of n births is followed and n is the weight
 * of all: narrower, the fewer blocks those that are counted can be in.  blocks: at most so many,
 * those included that have not ended, or have begun before anybody looked.
 */
struct bs_interval bs_sampled_blocks(const struct bs_sampled *s, double n, double blocks);

#endif
