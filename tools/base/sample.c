// SPDX-License-Identifier: GPL-2.0-only
/* sample.c - the gaps between objects that are followed, or their blocks. */
#include "base/sample.h"

#include <math.h>

#include "bscope/follow.h"

#define UNIT (1 << BSCOPE_FOLLOW_UNIT_BITS)

/*
 * Gaps have an exponential distribution; the end of one lies within an object that counts for 1
 * with the chance 1 - exp(-1 / mean gap).  That is one in mean for a mean gap of
 * -1 / ln(1 - 1 / mean).
 */
static double mean_gap(double mean)
{
	return mean > 1 ? -1 / log1p(-1 / mean) : 0;
}

static uint64_t units(double v)
{
	v *= UNIT;
	return v < 0x1p62 ? (uint64_t)llround(v) : 1ull << 62;
}

uint64_t bs_sample_gap(const struct bs_sample *s)
{
	return units((bs_sample_bytes(s) ? s->mean_bytes : mean_gap(s->mean)) * M_LN2);
}

/* Gaps that end in an object for being one, or for its bytes, are gaps of the sum of both. */
uint64_t bs_sample_base(const struct bs_sample *s)
{
	switch (s->by) {
	case BS_SAMPLE_BYTES:
		return 0;
	case BS_SAMPLE_EITHER:
		return s->mean > 1 ? units(s->mean_bytes / mean_gap(s->mean)) : 1ull << 61;
	default:
		return UNIT;
	}
}

uint32_t bs_sample_block(const struct bs_sample *s)
{
	if (s->by != BS_SAMPLE_OBJECTS || s->mean < 1 || s->mean > BSCOPE_FOLLOW_BLOCK_MAX ||
	    s->mean != floor(s->mean))
		return 0;
	return (uint32_t)s->mean;
}

uint32_t bs_sample_flags(const struct bs_sample *s)
{
	if (bs_sample_bytes(s))
		return BSCOPE_FOLLOW_BYTES;
	return bs_sample_block(s) ? BSCOPE_FOLLOW_BLOCKS : 0;
}
