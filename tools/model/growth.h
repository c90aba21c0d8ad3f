/* SPDX-License-Identifier: GPL-2.0-only */
/* growth.h - live bytes and objects of one origin over the window, and how fast they grow. */
#ifndef BS_MODEL_GROWTH_H
#define BS_MODEL_GROWTH_H

#include <stdint.h>

/* A series has at most so many points; from half of it on once 64 ms have passed. */
#define BS_SERIES_POINTS 128u

/* The window's time, common to all series of a model. */
struct bs_clock {
	uint64_t start_ns;
	uint64_t elapsed_ns;
	unsigned shift; /* a point stands for 2^shift ns */
};

void bs_clock_init(struct bs_clock *c, uint64_t start_ns);
/* For bs_clock_advance alone: the window has outgrown its points. */
void bs_clock_coarsen(struct bs_clock *c);
/* Time has come to now_ns; steps back are ignored. */
static inline void bs_clock_advance(struct bs_clock *c, uint64_t now_ns)
{
	if (now_ns <= c->start_ns + c->elapsed_ns)
		return;
	c->elapsed_ns = now_ns - c->start_ns;
	if (c->elapsed_ns >> c->shift >= BS_SERIES_POINTS)
		bs_clock_coarsen(c);
}

/* All zero is a series that has been 0 since the start. */
struct bs_series {
	int64_t bytes, count;	      /* value now; may go below 0 */
	uint64_t last_ns;	      /* since the start: accounted for up to here */
	uint64_t end_ns;	      /* likewise: of the open interval; 0: to be found out */
	double acc_bytes, acc_count;  /* integral over the open interval so far, in value * ns */
	float (*points)[2];	      /* means of closed intervals: bytes, count */
	uint16_t first, npoints, cap; /* index of points[0]: all before are 0 */
	uint8_t shift;
};

/* For bs_series_add alone, which see. */
int bs_series_step(struct bs_series *s, const struct bs_clock *c, uint64_t ts_ns, int64_t bytes,
		   int64_t count);
/*
 * The value changes at ts_ns (CLOCK_MONOTONIC; a step back counts as no step) by so much.  The
 * clock must have been advanced to ts_ns.  O(1), amortised.  0, or -ENOMEM and no change.
 */
static inline int bs_series_add(struct bs_series *s, const struct bs_clock *c, uint64_t ts_ns,
				int64_t bytes, int64_t count)
{
	uint64_t t = ts_ns - c->start_ns;
	double part;

	/* Mostly the interval that is open; before the start is beyond its end. */
	if (t < s->last_ns || t >= s->end_ns)
		return bs_series_step(s, c, ts_ns, bytes, count);
	part = (double)(int64_t)(t - s->last_ns);
	s->acc_bytes += (double)s->bytes * part;
	s->acc_count += (double)s->count * part;
	s->last_ns = t;
	/* Unsigned, so that absurd sizes wrap and wrap back instead of being undefined. */
	s->bytes = (int64_t)((uint64_t)s->bytes + (uint64_t)bytes);
	s->count += count;
	return 0;
}
void bs_series_fini(struct bs_series *s);
/* Adds another one, up to the clock's time, beyond which `to` does not go.  0 or -ENOMEM. */
int bs_series_merge(struct bs_series *to, const struct bs_series *from, const struct bs_clock *c);

/*
 * Means of all closed intervals since the start, up to the clock's time, into arrays of
 * BS_SERIES_POINTS.  Returns how many.
 */
unsigned bs_series_read(const struct bs_series *s, const struct bs_clock *c, double *bytes,
			double *count);

/* A rate and the half-width of its 95 % interval, per second. */
struct bs_trend {
	double slope, error;
};

/*
 * Slope of y over points that are dt_s apart, the first fifth left out.  Both 0 with too few
 * points to say anything.  Needs n <= BS_SERIES_POINTS.
 */
struct bs_trend bs_trend_fit(const double *y, unsigned n, double dt_s);

struct bs_growth {
	struct bs_trend bytes, objects;
};

/*
 * Growth of an origin.  live: its series; unknown: the drops of unknown objects in its class,
 * counted up in `count` (may be NULL); mean_bytes, mean_count: what an object that is alive counts
 * for in the series, in the mean.
 */
struct bs_growth bs_growth_estimate(const struct bs_series *live, const struct bs_series *unknown,
				    const struct bs_clock *c, double mean_bytes, double mean_count);

#endif
