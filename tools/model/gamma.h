/* SPDX-License-Identifier: GPL-2.0-only */
/* gamma.h - the gamma distribution: its probabilities and its quantiles. */
#ifndef BS_MODEL_GAMMA_H
#define BS_MODEL_GAMMA_H

/*
 * The probability that a variable with the gamma distribution of this shape (> 0) and scale 1 is at
 * most x: the regularised incomplete gamma function P(shape, x).
 */
double bs_gamma_below(double shape, double x);

/*
 * The x at which bs_gamma_below(shape, x) is p, 0 <= p < 1.  0 for a shape of 0 (all of it is at
 * 0), and where x is less than a double can tell from 0.  Relative error at most 1e-6 for p between
 * 0.001 and 0.999.
 */
double bs_gamma_quantile(double shape, double p);

#endif
