/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tsc.h - the time stamp counter, which programs stamp their events with, in terms of
 * CLOCK_MONOTONIC.
 *
 * The tool reads both clocks now and then; between two such pairs time is taken to run evenly.
 * So the conversion follows the kernel's slow corrections of its clock, and never steps back.
 */
#ifndef BS_DECODE_TSC_H
#define BS_DECODE_TSC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BS_TSC_PAIRS 64

struct bs_tsc {
	struct bs_tsc_pair {
		uint64_t tsc, ns;
		double rate;   /* ns per tick since the pair before */
	} pairs[BS_TSC_PAIRS]; /* oldest first */
	size_t n;
};

/* The counter, now; 0 on machines where programs do not use one. */
static inline uint64_t bs_tsc_now(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#else
	return 0;
#endif
}

/*
 * Is the counter of this machine fit to order events between CPUs?  It is where the kernel uses it
 * as its clock, or a hypervisor's clock made of it, and it neither stops nor changes its rate.
 * *why, if not: a phrase for people, constant.
 */
bool bs_tsc_usable(const char **why);

/*
 * Reads both clocks and remembers the pair, not more often than each 20 ms.  The first call waits
 * for two pairs some ms apart, so that conversion can begin.
 */
void bs_tsc_sync(struct bs_tsc *t);

/* The same with a pair of one's own (tests). */
void bs_tsc_add(struct bs_tsc *t, uint64_t tsc, uint64_t ns);

/* CLOCK_MONOTONIC of a full stamp, extrapolated beyond the pairs.  At least two pairs. */
uint64_t bs_tsc_ns(const struct bs_tsc *t, uint64_t tsc);

/* The time between two pairs, for those who convert many stamps: good for stamps from..to-1. */
struct bs_tsc_piece {
	uint64_t from, to;
	uint64_t tsc, ns;
	double rate;
};
struct bs_tsc_piece bs_tsc_piece(const struct bs_tsc *t, uint64_t tsc);

static inline bool bs_tsc_piece_has(const struct bs_tsc_piece *p, uint64_t tsc)
{
	return tsc >= p->from && tsc < p->to;
}

/* Of a stamp that it has; before 0 if the clock began after it. */
static inline int64_t bs_tsc_piece_ns(const struct bs_tsc_piece *p, uint64_t tsc)
{
	/* Exact to a fraction of a ns: the product stays far below 2^53. */
	return (int64_t)p->ns + (int64_t)((double)(int64_t)(tsc - p->tsc) * p->rate);
}

/* Counters of CPUs may differ: a stamp is at most a quarter of a second later than `reference`. */
#define BS_TSC_TOLERANCE (1ull << 29)

/*
 * The full stamp of one of which the low `bits` are known, and that it is not later than about
 * `reference`.
 */
static inline uint64_t bs_tsc_widen(uint64_t low, unsigned bits, uint64_t reference)
{
	uint64_t limit = reference + BS_TSC_TOLERANCE;

	return limit - ((limit - low) & ((1ull << bits) - 1));
}

#endif
