/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * share.h - what samples say of a share of CPU time, and how sure that is.  Plain numbers: nothing
 * here knows where they come from.
 */
#ifndef BS_OVERHEAD_SHARE_H
#define BS_OVERHEAD_SHARE_H

#include <stdbool.h>
#include <stdint.h>

/* A share and the half-width of its 95 % interval, in percent. */
struct bs_share {
	double percent, error;
};

/*
 * marked of so many samples; each sample is by itself.  The error is the distance to the farther
 * end of Wilson's score interval (E. B. Wilson 1927, J. Am. Stat. Assoc. 22, p. 209), so that it is
 * not 0 where nothing was found.  No samples: 0 and 100.
 */
struct bs_share bs_share_of(uint64_t marked, uint64_t samples);

/*
 * The same of samples of what tracking costs: the error has, besides chance, an allowance for time
 * that samples give to a neighbour, since what a processor does at once they see one after the
 * other: this part of the share.  Where marks are rare each costs the program some ns after it as
 * well, in what the processor has to find out anew: up to a quarter of the share there, but no more
 * than so many percent of the time.  Allowances, not bounds: `make bench-overhead-share` measures
 * how far off shares are.
 */
#define BS_SHARE_BORDER	   0.05
#define BS_SHARE_RARE	   0.25
#define BS_SHARE_RARE_MOST 0.15
struct bs_share bs_share_tracking(uint64_t marked, uint64_t samples);

/* Is what they say farther apart than both errors together? */
bool bs_share_disagree(const struct bs_share *a, const struct bs_share *b);

/*
 * marked of samples, less before of so many samples before: in percent points, with the half-width
 * of the 95 % interval of the difference (R. G. Newcombe 1998, Stat. Med. 17, p. 873, method 10:
 * from the Wilson intervals of both).
 */
struct bs_share bs_share_difference(uint64_t marked, uint64_t samples, uint64_t before,
				    uint64_t samples_before);

#endif
