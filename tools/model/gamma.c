/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * gamma.c - series below the mean, continued fraction above it (NIST Digital Library of
 * Mathematical Functions, 8.11.4 and 8.9.2); quantiles from the cube root approximation of Wilson
 * and Hilferty (1931), made exact by steps of Newton's.
 */
#include "model/gamma.h"

#include <float.h>
#include <math.h>

#define STEPS 100000 /* of a sum; needed are some ten times the root of the shape */

/* From here on the approximation alone is good to 1e-6, and sums would get long. */
#define LARGE 1e6

/* x^shape e^-x / gamma(shape) */
static double front(double shape, double x)
{
	int sign;

	/* Not lgamma(): that one writes a global. */
	return exp(shape * log(x) - x - lgamma_r(shape, &sign));
}

static double below_by_series(double shape, double x)
{
	double term = 1 / shape, sum = term;

	for (int i = 1; i < STEPS && term > sum * DBL_EPSILON; i++) {
		term *= x / (shape + i);
		sum += term;
	}
	return sum * front(shape, x);
}

/* By the method of Lentz, as modified by Thompson and Barnett. */
static double above_by_fraction(double shape, double x)
{
	double b = x + 1 - shape, c = 1 / DBL_MIN, d = 1 / b, h = d, step = 0;

	for (int i = 1; i < STEPS && fabs(step - 1) > DBL_EPSILON; i++) {
		double a = -i * (i - shape);

		b += 2;
		d = a * d + b;
		if (fabs(d) < DBL_MIN)
			d = DBL_MIN;
		c = b + a / c;
		if (fabs(c) < DBL_MIN)
			c = DBL_MIN;
		d = 1 / d;
		step = d * c;
		h *= step;
	}
	return h * front(shape, x);
}

double bs_gamma_below(double shape, double x)
{
	if (x <= 0)
		return 0;
	return x < shape + 1 ? below_by_series(shape, x) : 1 - above_by_fraction(shape, x);
}

/*
 * The quantile of the normal distribution: Abramowitz and Stegun 26.2.23, error below 4.5e-4, made
 * exact by steps of Newton's.
 */
static double normal_quantile(double p)
{
	double tail = p < 0.5 ? p : 1 - p, t = sqrt(-2 * log(tail));
	double z = t - (2.515517 + t * (0.802853 + t * 0.010328)) /
			       (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));

	for (int i = 0; i < 3; i++)
		z += (0.5 * erfc(z / M_SQRT2) - tail) / (exp(-z * z / 2) / sqrt(2 * M_PI));
	return p < 0.5 ? -z : z;
}

/* Where to begin: of the size of the quantile, or 0 where that is less than a double can say. */
static double guess(double shape, double p)
{
	double cube = 1 - 1 / (9 * shape) + normal_quantile(p) / (3 * sqrt(shape));
	int sign;

	if (shape > 0.5 && cube > 0)
		return shape * cube * cube * cube;
	/* The first term of the series. */
	return exp((log(p) + lgamma_r(shape + 1, &sign)) / shape);
}

double bs_gamma_quantile(double shape, double p)
{
	double low = 0, high = INFINITY, x, last = 0;

	if (shape <= 0 || p <= 0)
		return 0;
	x = guess(shape, p);
	if (shape > LARGE || x < DBL_MIN)
		return x < DBL_MIN ? 0 : x;
	for (int i = 0; i < STEPS && fabs(x - last) > 1e-9 * x; i++) {
		double off = bs_gamma_below(shape, x) - p;

		if (off < 0)
			low = x;
		else
			high = x;
		last = x;
		x -= off * x / front(shape, x);
		/* A step too far: halve what is left, or double. */
		if (!(x > low && x < high))
			x = isinf(high) ? 2 * low : (low + high) / 2;
	}
	return x;
}
