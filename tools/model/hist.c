/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * hist.c - a bucket is (power of two, the next five bits); counts live in groups of one power of
 * two, made when first hit, because lifetimes of one place mostly span few of them.
 */
#include "model/hist.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS (BS_HIST_GROUPS * BS_HIST_GROUP)

/* The greatest value in a bucket. */
static uint64_t bucket_top(unsigned group, unsigned slot)
{
	if (!group)
		return slot;
	return ((uint64_t)(BS_HIST_GROUP + slot) << (group - 1)) +
	       ((UINT64_C(1) << (group - 1)) - 1);
}

static uint32_t *group_get(struct bs_hist *h, unsigned group)
{
	if (!h->group[group]) {
		if (h->ngroups == h->cap) {
			unsigned cap = h->cap ? h->cap * 2u : 1;
			void *groups = realloc(h->groups, cap * sizeof(*h->groups));

			if (!groups)
				return NULL;
			h->groups = groups;
			h->cap = (uint8_t)cap;
		}
		memset(h->groups[h->ngroups], 0, sizeof(*h->groups));
		h->group[group] = ++h->ngroups;
	}
	return h->groups[h->group[group] - 1];
}

static uint64_t bucket_count(const struct bs_hist *h, unsigned group, unsigned slot)
{
	uint64_t n;

	if (!h->group[group])
		return 0;
	n = h->groups[h->group[group] - 1][slot];
	if (h->carry)
		n |= (uint64_t)h->carry[group * BS_HIST_GROUP + slot] << 32;
	return n;
}

int bs_hist_add_bucket(struct bs_hist *h, unsigned group, unsigned slot, uint64_t n)
{
	uint32_t *counts = group_get(h, group);
	uint64_t sum;

	if (!counts)
		return -ENOMEM;
	sum = counts[slot] + n;
	if (sum > UINT32_MAX) {
		if (!h->carry)
			h->carry = calloc(BUCKETS, sizeof(*h->carry));
		if (!h->carry)
			return -ENOMEM;
		h->carry[group * BS_HIST_GROUP + slot] += (uint32_t)(sum >> 32);
	}
	counts[slot] = (uint32_t)sum;
	return 0;
}

int bs_hist_merge(struct bs_hist *dst, const struct bs_hist *src)
{
	for (unsigned g = 0; g < BS_HIST_GROUPS; g++) {
		if (!src->group[g])
			continue;
		for (unsigned i = 0; i < BS_HIST_GROUP; i++) {
			uint64_t n = bucket_count(src, g, i);
			int err = n ? bs_hist_add_bucket(dst, g, i, n) : 0;

			if (err)
				return err;
			dst->count += n;
		}
	}
	if (src->max > dst->max)
		dst->max = src->max;
	return 0;
}

void bs_hist_fini(struct bs_hist *h)
{
	free(h->groups);
	free(h->carry);
	memset(h, 0, sizeof(*h));
}

uint64_t bs_hist_quantile(const struct bs_hist *h, unsigned num, unsigned den)
{
	uint64_t rank, seen = 0;

	if (!h->count)
		return 0;
	/* ceil(count * num / den) without overflow */
	rank = h->count / den * num + (h->count % den * num + den - 1) / den;
	for (unsigned g = 0; g < BS_HIST_GROUPS; g++) {
		if (!h->group[g])
			continue;
		for (unsigned i = 0; i < BS_HIST_GROUP; i++) {
			seen += bucket_count(h, g, i);
			if (seen >= rank) {
				uint64_t top = bucket_top(g, i);

				return top < h->max ? top : h->max;
			}
		}
	}
	return h->max;
}
