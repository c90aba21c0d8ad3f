/* SPDX-License-Identifier: GPL-2.0-only */
/* hist.h - log-linear histogram of 64-bit values: fixed relative error, memory where values are. */
#ifndef BS_MODEL_HIST_H
#define BS_MODEL_HIST_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A power of two is cut into 2^BS_HIST_BITS buckets of equal width, so a bucket is at most
 * 1/32 of its values wide; values below 64 have a bucket each.
 */
#define BS_HIST_BITS   5
#define BS_HIST_GROUP  (1u << BS_HIST_BITS)
#define BS_HIST_GROUPS (64 - BS_HIST_BITS + 1)

/* All zero is an empty histogram. */
struct bs_hist {
	uint64_t count, max;
	uint32_t (*groups)[BS_HIST_GROUP]; /* those that were hit, in order of their first hit */
	uint32_t *carry; /* how often a bucket's 32 bits ran over; NULL until one did */
	uint8_t ngroups, cap;
	uint8_t group[BS_HIST_GROUPS]; /* power of two -> place in groups + 1; 0: never hit */
};

/* Group 0 holds 0..31, group g holds 2^(g+4) .. 2^(g+5)-1. */
static inline unsigned bs_hist_group_of(uint64_t value)
{
	return value < BS_HIST_GROUP ? 0 : 63 - __builtin_clzll(value) - BS_HIST_BITS + 1;
}
static inline unsigned bs_hist_slot_of(uint64_t value, unsigned group)
{
	return (unsigned)(group ? value >> (group - 1) : value) & (BS_HIST_GROUP - 1);
}

/* For bs_hist_add alone: n of that bucket.  0 or -ENOMEM. */
int bs_hist_add_bucket(struct bs_hist *h, unsigned group, unsigned slot, uint64_t n);
/* 0 or -ENOMEM; then nothing was added. */
static inline int bs_hist_add(struct bs_hist *h, uint64_t value)
{
	unsigned group = bs_hist_group_of(value), slot = bs_hist_slot_of(value, group);
	uint32_t *count = h->group[group] ? &h->groups[h->group[group] - 1][slot] : NULL;

	/* Mostly one that was hit before and does not run over. */
	if (count && *count != UINT32_MAX)
		++*count;
	else if (bs_hist_add_bucket(h, group, slot, 1))
		return -ENOMEM;
	h->count++;
	if (value > h->max)
		h->max = value;
	return 0;
}
/* Adds all of src to dst.  0 or -ENOMEM; dst then holds a part. */
int bs_hist_merge(struct bs_hist *dst, const struct bs_hist *src);
void bs_hist_fini(struct bs_hist *h);

/*
 * The least value v such that at least num / den of all values are <= v (nearest rank), at most
 * 1/32 too high and never too low.  0 < num <= den, den <= 1000.  0 when empty.
 */
uint64_t bs_hist_quantile(const struct bs_hist *h, unsigned num, unsigned den);

#endif
