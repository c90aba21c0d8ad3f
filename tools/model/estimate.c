/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * estimate.c - what is known of the objects that were not followed.
 *
 * What was seen is known exactly; only the rest is estimated.  The sum of w y is unbiased (Horvitz
 * and Thompson, 1952), so the rest is the sum of (w - 1) y, and the sum of w (w - 1) y^2 is an
 * unbiased estimate of the variance of its error, where objects are followed independently
 * (Saerndal, Swensson and Wretman, Model Assisted Survey Sampling, 1992, section 3.5).
 *
 * Where objects are counted and all have the weight w, the ends are those of Clopper and Pearson
 * (1934): the total at which so many followed objects or more, or so many or fewer, have a
 * probability of 2.5 %.  At the lower end those missed are what precedes the k-th object followed:
 * negative binomial, with mean k (w - 1) and variance k w (w - 1), which are the two sums above. At
 * the upper end it is the same with k + 1.  So each followed object brings its term, and at the
 * upper end one more is added that has just been missed.  With different weights and values, the
 * distribution is taken as a gamma distribution with that mean and that variance; the one more is
 * the greatest there can be.  This is the method of Fay and Feuer (Statistics in Medicine 16, 1997,
 * 791-801) for weighted sums of Poisson variables, with the variance of a Bernoulli sample in the
 * place of theirs.
 *
 * Objects that are chosen by blocks, exactly one of each n births in a row, have the same chance,
 * and all of the above holds: who is chosen keeps others from it, which only makes the variance
 * less.  Where objects are counted, each block is a trial: its one followed object is one that
 * counts with the probability q, n times which is how many count in it.  So the total is n times
 * the sum of q, and the number followed is a sum of independent trials with different chances.  Its
 * tails are no heavier than those of as many trials with the mean chance (Hoeffding, Annals of
 * Mathematical Statistics 27, 1956, 713-721), and those grow with the number of trials while the
 * expected number remains: an upper bound of the number of blocks does.
 */
#include "model/estimate.h"

#include <math.h>

#include "model/beta.h"
#include "model/gamma.h"

#define TAIL 0.025 /* probability left on either side */

double bs_weight_count(double n)
{
	return n > 1 ? n : 1;
}

double bs_weight_bytes(double mean, uint64_t bytes)
{
	return mean > 0 ? -1 / expm1(-(double)(bytes ? bytes : 1) / mean) : 1;
}

double bs_weight_either(double n, double mean, uint64_t bytes)
{
	if (n <= 1 || mean <= 0)
		return 1;
	return -1 / expm1(log1p(-1 / n) - (double)(bytes ? bytes : 1) / mean);
}

void bs_sampled_add(struct bs_sampled *s, double w, double y)
{
	double rest = (w - 1) * y, var = w * y * rest;

	s->n++;
	s->seen += y;
	if (w <= 1)
		return;
	s->rest += rest;
	s->var += var;
	s->top_y = fmax(s->top_y, y);
	if (w > 1.0001 && w < 1.2)
		s->step = fmax(s->step, y);
}

void bs_sampled_merge(struct bs_sampled *to, const struct bs_sampled *from)
{
	to->n += from->n;
	to->seen += from->seen;
	to->rest += from->rest;
	to->var += from->var;
	to->top_y = fmax(to->top_y, from->top_y);
	to->step = fmax(to->step, from->step);
}

void bs_sampled_unseen(struct bs_sampled *s, double w, double y)
{
	s->bounded = true;
	if (w <= 1)
		return;
	s->miss_rest = fmax(s->miss_rest, (w - 1) * y);
	s->miss_var = fmax(s->miss_var, w * (w - 1) * y * y);
}

/*
 * At least so much was missed.  What has no followed object is not shown, so that among those shown
 * few objects look like many: of 100 classes with one object each, one is shown at N = 100, and
 * never is its total the 3 to 555 that would hold in 95 % of all draws.  So the probability of
 * having seen so much is taken among the draws in which something is seen. It is that of a
 * continuous variable where values come in steps: one step down is on the safe side.
 */
static double lower(const struct bs_sampled *s)
{
	double shape = s->rest * s->rest / s->var, scale = s->var / s->rest;
	double followed = (double)s->n / (s->seen + s->rest); /* of each unit, if it were so much */
	double low = 0, high = bs_gamma_quantile(shape, TAIL) * scale;

	if (followed * (s->seen + high) > 20) /* none would be as good as impossible */
		low = high;
	for (int i = 0; i < 14 && low < high; i++) { /* four digits */
		double x = (low + high) / 2;
		double shown = -expm1(-followed * (s->seen + x));

		if (bs_gamma_below(shape, x / scale) < TAIL * shown)
			low = x;
		else
			high = x;
	}
	return fmin(fmax(low - s->top_y, 0), s->rest);
}

/*
 * At most so much was missed.  With weights close to 1 a miss is rare, but whole: of ten objects
 * one is missed at N = 1.01 in 9 % of draws, and a gamma distribution, which knows no steps, would
 * have only a part of one at its upper end.  A miss worth more than rest / TAIL is less likely than
 * TAIL.
 */
static double upper(const struct bs_sampled *s)
{
	double rest = s->rest + s->miss_rest, var = s->var + s->miss_var;
	double high;

	if (!s->bounded || isinf(var))
		return INFINITY;
	if (rest <= 0)
		return 0;
	high = bs_gamma_quantile(rest * rest / var, 1 - TAIL) * var / rest;
	high += fmin(s->step, s->rest / TAIL);
	return fmax(high, s->rest);
}

struct bs_interval bs_sampled_interval(const struct bs_sampled *s)
{
	return (struct bs_interval){
		.value = s->seen + s->rest,
		.low = s->seen + (s->rest > 0 ? lower(s) : 0),
		.high = s->seen + upper(s),
	};
}

/*
 * The chance in each of so many trials at which so many successes or more, of those draws in which
 * there is one, or so many or fewer, have a probability of 2.5 %.
 */
static double lower_chance(double n, double trials)
{
	double low = 0, high = n / trials;

	for (int i = 0; i < 30; i++) {
		double p = (low + high) / 2;
		double shown = -expm1(trials * log1p(-p));

		if (bs_beta_below(n, trials - n + 1, p) < TAIL * shown)
			low = p;
		else
			high = p;
	}
	return low;
}

static double upper_chance(double n, double trials)
{
	double low = n / trials, high = 1;

	if (n >= trials)
		return 1;
	for (int i = 0; i < 30; i++) {
		double p = (low + high) / 2;

		if (1 - bs_beta_below(n + 1, trials - n, p) < TAIL)
			high = p;
		else
			low = p;
	}
	return high;
}

struct bs_interval bs_sampled_blocks(const struct bs_sampled *s, double n, double blocks)
{
	struct bs_interval iv = bs_sampled_interval(s);
	double followed = (double)s->n;

	/* Of as many blocks as there are objects nothing better is known. */
	if (!s->n || blocks < followed || blocks >= iv.value)
		return iv;
	iv.low = fmax(iv.low, n * blocks * lower_chance(followed, blocks));
	iv.high = fmin(iv.high, n * blocks * upper_chance(followed, blocks));
	return iv;
}
