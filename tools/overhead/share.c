// SPDX-License-Identifier: GPL-2.0-only
/* share.c - what samples say of a share of CPU time, and how sure that is. */
#include "overhead/share.h"

#include <math.h>

#define Z 1.959963984540054 /* 97.5 % of the normal distribution lie below */

/* Both ends of Wilson's interval, as parts of 1. */
static void wilson(uint64_t marked, uint64_t samples, double *low, double *high)
{
	double n = (double)samples, p, middle, half;

	*low = 0;
	*high = 1;
	if (!samples)
		return;
	p = (double)marked / n;
	middle = (p + Z * Z / (2 * n)) / (1 + Z * Z / n);
	half = Z * sqrt(p * (1 - p) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n);
	*low = fmax(middle - half, 0);
	*high = fmin(middle + half, 1);
}

static double part(uint64_t marked, uint64_t samples)
{
	return samples ? (double)marked / (double)samples : 0;
}

struct bs_share bs_share_of(uint64_t marked, uint64_t samples)
{
	double p = part(marked, samples), low, high;

	wilson(marked, samples, &low, &high);
	return (struct bs_share){100 * p, 100 * fmax(p - low, high - p)};
}

struct bs_share bs_share_tracking(uint64_t marked, uint64_t samples)
{
	struct bs_share s = bs_share_of(marked, samples);
	double rare = fmin(BS_SHARE_RARE * s.percent, BS_SHARE_RARE_MOST);

	s.error = hypot(s.error, fmax(BS_SHARE_BORDER * s.percent, rare));
	return s;
}

bool bs_share_disagree(const struct bs_share *a, const struct bs_share *b)
{
	return fabs(a->percent - b->percent) > a->error + b->error;
}

struct bs_share bs_share_difference(uint64_t marked, uint64_t samples, uint64_t before,
				    uint64_t samples_before)
{
	double p = part(marked, samples), q = part(before, samples_before);
	double plow, phigh, qlow, qhigh;

	wilson(marked, samples, &plow, &phigh);
	wilson(before, samples_before, &qlow, &qhigh);
	return (struct bs_share){
		100 * (p - q), 100 * fmax(hypot(p - plow, qhigh - q), hypot(phigh - p, q - qlow))};
}
