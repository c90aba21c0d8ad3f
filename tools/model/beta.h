/* SPDX-License-Identifier: GPL-2.0-only */
/* beta.h - the beta distribution: its probabilities, and so those of binomial ones. */
#ifndef BS_MODEL_BETA_H
#define BS_MODEL_BETA_H

/*
 * The probability that a variable with the beta distribution of these two shapes (> 0) is at most
 * x: the regularised incomplete beta function I_x(a, b).  It is also the probability of a or more
 * successes in a + b - 1 trials, each with the chance x.
 */
double bs_beta_below(double a, double b, double x);

#endif
