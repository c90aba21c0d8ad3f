/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * growth.c - from changes of a value to means over equal intervals, and from these to a slope
 * that says how far it can be trusted.
 *
 * A point is the mean over its interval, not a sample: objects that live shorter than an interval
 * average out, which is most of the noise of a busy program.  When the window outgrows
 * BS_SERIES_POINTS, pairs of intervals become one, so the points always cover the window from
 * start to now.  A series is brought up to date when it is touched or read: an origin that does
 * nothing costs nothing, however many there are.
 */
#include "model/growth.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SHIFT 20 /* points of 1 ms at first */
#define MIN_POINTS  12 /* no estimate from fewer, the first fifth left out */
#define BLOCKS	    4

void bs_clock_init(struct bs_clock *c, uint64_t start_ns)
{
	c->start_ns = start_ns;
	c->elapsed_ns = 0;
	c->shift = FIRST_SHIFT;
}

void bs_clock_coarsen(struct bs_clock *c)
{
	while (c->elapsed_ns >> c->shift >= BS_SERIES_POINTS)
		c->shift++;
}

/* Two intervals become one. */
static void series_coarsen(struct bs_series *s)
{
	unsigned from = 0, to = 0;

	/* The interval before the open one belongs to the same pair: it is open again. */
	if ((s->last_ns >> s->shift & 1) && s->npoints) {
		double width = (double)(UINT64_C(1) << s->shift);

		s->npoints--;
		s->acc_bytes += width * (double)s->points[s->npoints][0];
		s->acc_count += width * (double)s->points[s->npoints][1];
	}
	/* The first point may be the second of its pair: the other one was 0. */
	if ((s->first & 1) && s->npoints) {
		s->points[0][0] /= 2;
		s->points[0][1] /= 2;
		from = to = 1;
	}
	for (; from < s->npoints; from += 2, to++) {
		s->points[to][0] = (s->points[from][0] + s->points[from + 1][0]) / 2;
		s->points[to][1] = (s->points[from][1] + s->points[from + 1][1]) / 2;
	}
	s->npoints = (uint16_t)to;
	s->first >>= 1;
	s->shift++;
}

static int series_reserve(struct bs_series *s, unsigned n)
{
	unsigned cap = s->cap ? s->cap : 4;
	void *points;

	if (n <= s->cap)
		return 0;
	while (cap < n)
		cap *= 2;
	points = realloc(s->points, cap * sizeof(*s->points));
	if (!points)
		return -ENOMEM;
	s->points = points;
	s->cap = (uint16_t)cap;
	return 0;
}

static void series_push(struct bs_series *s, double bytes, double count)
{
	s->points[s->npoints][0] = (float)bytes;
	s->points[s->npoints][1] = (float)count;
	s->npoints++;
}

/* Accounts for the time up to t (since the start), in which the value did not change. */
static int series_advance(struct bs_series *s, unsigned shift, uint64_t t)
{
	double bytes = (double)s->bytes, count = (double)s->count, width, part;
	uint64_t open, to;

	if (!s->shift)
		s->shift = FIRST_SHIFT;
	while (s->shift < shift)
		series_coarsen(s);
	if (t < s->last_ns)
		t = s->last_ns;

	open = s->last_ns >> shift;
	to = t >> shift;
	if (open == to) {
		part = (double)(t - s->last_ns);
		s->acc_bytes += bytes * part;
		s->acc_count += count * part;
		s->last_ns = t;
		s->end_ns = (to + 1) << shift;
		return 0;
	}

	part = (double)(((open + 1) << shift) - s->last_ns);
	if (!s->npoints) {
		s->first = (uint16_t)open;
		/* Nothing yet: it begins later. */
		if (!s->bytes && !s->count && s->acc_bytes == 0 && s->acc_count == 0)
			s->first = (uint16_t)to;
	}
	if (series_reserve(s, (unsigned)(to - s->first)))
		return -ENOMEM;
	width = (double)(UINT64_C(1) << shift);
	if (s->first != to) {
		series_push(s, (s->acc_bytes + bytes * part) / width,
			    (s->acc_count + count * part) / width);
		while (s->first + s->npoints < to)
			series_push(s, bytes, count);
	}
	part = (double)(t - (to << shift));
	s->acc_bytes = bytes * part;
	s->acc_count = count * part;
	s->last_ns = t;
	s->end_ns = (to + 1) << shift;
	return 0;
}

int bs_series_step(struct bs_series *s, const struct bs_clock *c, uint64_t ts_ns, int64_t bytes,
		   int64_t count)
{
	int err = series_advance(s, c->shift, ts_ns > c->start_ns ? ts_ns - c->start_ns : 0);

	if (err)
		return err;
	s->bytes = (int64_t)((uint64_t)s->bytes + (uint64_t)bytes);
	s->count += count;
	return 0;
}

void bs_series_fini(struct bs_series *s)
{
	free(s->points);
	memset(s, 0, sizeof(*s));
}

unsigned bs_series_read(const struct bs_series *s, const struct bs_clock *c, double *bytes,
			double *count)
{
	float points[BS_SERIES_POINTS][2];
	struct bs_series now = *s;
	unsigned n = (unsigned)(c->elapsed_ns >> c->shift);

	/* A copy is brought up to date; it has room for all points and never allocates. */
	now.points = points;
	now.cap = BS_SERIES_POINTS;
	if (s->npoints)
		memcpy(points, s->points, s->npoints * sizeof(*points));
	series_advance(&now, c->shift, c->elapsed_ns);
	for (unsigned i = 0; i < n; i++) {
		unsigned at = i - now.first;

		bytes[i] = i >= now.first && at < now.npoints ? (double)points[at][0] : 0;
		count[i] = i >= now.first && at < now.npoints ? (double)points[at][1] : 0;
	}
	return n;
}

int bs_series_merge(struct bs_series *to, const struct bs_series *from, const struct bs_clock *c)
{
	double bytes[2][BS_SERIES_POINTS], count[2][BS_SERIES_POINTS];
	unsigned n = bs_series_read(to, c, bytes[0], count[0]);

	bs_series_read(from, c, bytes[1], count[1]);
	if (series_reserve(to, n))
		return -ENOMEM;
	to->first = to->npoints = 0;
	for (unsigned i = 0; i < n; i++)
		series_push(to, bytes[0][i] + bytes[1][i], count[0][i] + count[1][i]);
	to->bytes = (int64_t)((uint64_t)to->bytes + (uint64_t)from->bytes);
	to->count += from->count;
	to->acc_bytes = to->acc_count = 0;
	to->last_ns = c->elapsed_ns;
	to->end_ns = 0;
	to->shift = (uint8_t)c->shift;
	return 0;
}

/* --- slope ------------------------------------------------------------------------------------ */

/* Two-sided 95 % point of Student's t, interpolated in 1/df; within 0.5 % of the exact values. */
static double student(double df)
{
	static const struct {
		double df, t;
	} at[] = {
		{1, 12.706}, {1.5, 6.0},  {2, 4.303},  {3, 3.182},  {4, 2.776},
		{6, 2.447},  {10, 2.228}, {20, 2.086}, {60, 2.000}, {1e9, 1.960},
	};
	unsigned i = 1;

	if (df <= at[0].df)
		return at[0].t;
	while (i + 1 < sizeof(at) / sizeof(at[0]) && df > at[i].df)
		i++;
	return at[i].t + (at[i - 1].t - at[i].t) * (1 / df - 1 / at[i].df) /
				 (1 / at[i - 1].df - 1 / at[i].df);
}

/* Least squares; residuals into res when not NULL. */
static double fit(const double *y, unsigned n, double *res)
{
	double mid = (n - 1) / 2.0, mean = 0, sxy = 0, sxx = 0, slope;

	for (unsigned i = 0; i < n; i++)
		mean += y[i] / n;
	for (unsigned i = 0; i < n; i++) {
		sxy += (i - mid) * (y[i] - mean);
		sxx += (i - mid) * (i - mid);
	}
	slope = sxy / sxx;
	for (unsigned i = 0; res && i < n; i++)
		res[i] = y[i] - mean - slope * (i - mid);
	return slope;
}

/*
 * Variance of the least-squares slope over n points whose noise is first-order autoregressive with
 * coefficient r and innovations of variance 1:  sum over i, j of w_i w_j r^|i-j| / (1 - r^2), with
 * the weights w of the fit, in one pass.
 */
static double slope_variance(unsigned n, double r)
{
	double mid = (n - 1) / 2.0, sxx = n * ((double)n * n - 1) / 12, sum = 0, before = 0;

	for (unsigned i = 0; i < n; i++) {
		double w = (i - mid) / sxx;

		sum += w * w + 2 * w * before;
		before = r * (before + w);
	}
	return sum / (1 - r * r);
}

/*
 * How far the slope can be trusted.
 *
 * Live bytes are sums of things that last, so neighbouring points resemble each other, and the
 * textbook error of a slope would be far too small.  The residuals' lag-1 correlation r says how
 * few independent points there really are: n (1 - r) / (1 + r).  That formula is for a mean,
 * though, and for r close to 1 (a random walk, which is what live bytes are when objects live
 * longer than the window) it makes the error three times too small; slope_variance is the same
 * idea carried out for a slope and right at both ends.  r itself comes out too small after a
 * line was fitted, by about (2 + 4 r) / n and more close to 1; that is put back (the term in r^4
 * and the floor of 3 degrees of freedom are set so that a pure random walk of 50 to 100 points is
 * called sure in at most one of 20 cases, and a stationary one hardly less often than it should
 * be).
 *
 * Smooth shapes that are no steady growth (filling up, then flat; a slow wave; one step) leave
 * small innovations, so that error alone would call them sure.  Their slope differs from part to
 * part of the window: the slopes of four parts are compared, and what they differ by beyond
 * chance (the 95 % point of chi-squared with 3 degrees, 7.81 / 3) is added as the error of a mean
 * of four.  A leak grows in all four.
 */
struct bs_trend bs_trend_fit(const double *y, unsigned n, double dt_s)
{
	double res[BS_SERIES_POINTS], part[BLOCKS], r = 0, sq = 0, noise = 0, var, spread = 0;
	double mean = 0, independent, t;
	unsigned skip = n / 5, block;
	struct bs_trend out = {0, 0};

	y += skip;
	n -= skip;
	if (n < MIN_POINTS)
		return out;

	out.slope = fit(y, n, res);
	for (unsigned i = 0; i < n; i++)
		sq += res[i] * res[i];
	for (unsigned i = 1; i < n; i++)
		r += res[i] * res[i - 1];
	r = sq > 0 ? r / sq : 0;
	r += (2 + 4 * r + 8 * r * r * r * r) / n;
	r = r < 0 ? 0 : r > 0.995 ? 0.995 : r;
	for (unsigned i = 1; i < n; i++)
		noise += (res[i] - r * res[i - 1]) * (res[i] - r * res[i - 1]);
	noise /= n - 3;
	var = noise * slope_variance(n, r);
	independent = n * (1 - r) / (1 + r);
	t = student(independent - 2 > 3 ? independent - 2 : 3);

	block = n / BLOCKS;
	for (unsigned i = 0; i < BLOCKS; i++) {
		part[i] = fit(y + i * block, block, NULL);
		mean += part[i] / BLOCKS;
	}
	for (unsigned i = 0; i < BLOCKS; i++)
		spread += (part[i] - mean) * (part[i] - mean) / (BLOCKS - 1);
	spread -= 7.81 / 3 * noise * slope_variance(block, r);
	if (spread < 0)
		spread = 0;

	out.error = sqrt(t * t * var + student(BLOCKS - 1) * student(BLOCKS - 1) * spread / BLOCKS);
	out.slope /= dt_s;
	out.error /= dt_s;
	return out;
}

/*
 * Besides the noise:
 *
 * Grain.  What grows comes in whole objects.  A steady trickle of one object every so often fits
 * into the window once more or once less depending on where the window begins: up to one object
 * over the length of the fit, however little the residuals scatter.
 *
 * Unknown drops.  Objects older than the attach are not in the series, so a cache that is long
 * full, where each new object replaces an old one, seems to climb while the old ones die
 * unseen.  Their drops are seen, as drops of unknown objects of the class, though not whose they
 * were.  At most all of them were this origin's, and they cannot account for more objects than
 * it gained: its true slope lies between what was seen and that less those objects at its mean
 * size.  The estimate is the middle of the two, the error reaches both and contains the noise of
 * the count of drops.
 */
struct bs_growth bs_growth_estimate(const struct bs_series *live, const struct bs_series *unknown,
				    const struct bs_clock *c, double mean_bytes, double mean_count)
{
	double bytes[BS_SERIES_POINTS], count[BS_SERIES_POINTS];
	double dt_s = (double)(UINT64_C(1) << c->shift) / 1e9;
	unsigned n = bs_series_read(live, c, bytes, count);
	struct bs_trend gone = {0, 0};
	struct bs_growth out;
	double window_s = (n - n / 5) * dt_s;

	out.bytes = bs_trend_fit(bytes, n, dt_s);
	out.objects = bs_trend_fit(count, n, dt_s);
	if (n - n / 5 < MIN_POINTS)
		return out;
	if (unknown && unknown->count) {
		double none[BS_SERIES_POINTS];

		bs_series_read(unknown, c, none, count);
		gone = bs_trend_fit(count, n, dt_s);
	}
	if (gone.slope > out.objects.slope)
		gone.slope = out.objects.slope;
	if (gone.slope > 0) {
		double half = gone.slope / 2;

		out.objects.slope -= half;
		out.objects.error = half + hypot(out.objects.error, gone.error);
		out.bytes.slope -= half * mean_bytes;
		out.bytes.error =
			half * mean_bytes + hypot(out.bytes.error, gone.error * mean_bytes);
	}
	out.bytes.error += mean_bytes / window_s;
	out.objects.error += mean_count / window_s;
	return out;
}
