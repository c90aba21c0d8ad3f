// SPDX-License-Identifier: GPL-2.0-only
/* sample.c - the gaps between objects that are followed. */
#include "base/sample.h"

#include <math.h>

#include "bscope/follow.h"

/*
 * Gaps have an exponential distribution; the end of one lies within an object that counts for 1
 * with the chance 1 - exp(-1 / mean gap).  That is one in mean for a mean gap of
 * -1 / ln(1 - 1 / mean).
 */
uint64_t bs_sample_gap(const struct bs_sample *s)
{
	double gap = s->by == BS_SAMPLE_BYTES ? s->mean
		     : s->mean > 1	      ? -1 / log1p(-1 / s->mean)
					      : 0;

	gap = gap * M_LN2 * (1 << BSCOPE_FOLLOW_UNIT_BITS);
	return gap < 0x1p62 ? (uint64_t)llround(gap) : 1ull << 62;
}
