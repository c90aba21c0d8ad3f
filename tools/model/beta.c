/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * beta.c - by the continued fraction (NIST Digital Library of Mathematical Functions, 8.17.22),
 * which converges fast below the mean; above it, by symmetry.
 */
#include "model/beta.h"

#include <float.h>
#include <math.h>

#define STEPS 100000 /* of the fraction; needed are some times the root of the greater shape */

static double no_less(double v)
{
	return fabs(v) < DBL_MIN ? DBL_MIN : v;
}

/* By the method of Lentz, as modified by Thompson and Barnett. */
static double fraction(double a, double b, double x)
{
	double c = 1, d = 1 / no_less(1 - (a + b) * x / (a + 1)), h = d, step = 0;

	for (int m = 1; m < STEPS && fabs(step - 1) > DBL_EPSILON; m++) {
		double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
		double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));

		d = 1 / no_less(1 + even * d);
		c = no_less(1 + even / c);
		h *= d * c;
		d = 1 / no_less(1 + odd * d);
		c = no_less(1 + odd / c);
		step = d * c;
		h *= step;
	}
	return h;
}

double bs_beta_below(double a, double b, double x)
{
	double front;
	int sign;

	if (x <= 0)
		return 0;
	if (x >= 1)
		return 1;
	/* Not lgamma(): that one writes a global. */
	front = exp(lgamma_r(a + b, &sign) - lgamma_r(a, &sign) - lgamma_r(b, &sign) + a * log(x) +
		    b * log1p(-x));
	if (x < (a + 1) / (a + b + 2))
		return front * fraction(a, b, x) / a;
	return 1 - front * fraction(b, a, 1 - x) / b;
}
