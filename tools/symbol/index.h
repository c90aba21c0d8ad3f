/* SPDX-License-Identifier: GPL-2.0-only */
/* index.h - a hash table from two numbers to a third that is not 0. */
#ifndef BS_SYMBOL_INDEX_H
#define BS_SYMBOL_INDEX_H

#include <stddef.h>
#include <stdint.h>

struct bs_index_slot {
	uint64_t a, b;
	uint32_t value; /* 0: free */
};

/* All zeros is an empty table. */
struct bs_index {
	struct bs_index_slot *slots;
	size_t size; /* power of two, or 0 */
	size_t used;
};

/* The value, 0 if there is none. */
uint32_t bs_index_find(const struct bs_index *t, uint64_t a, uint64_t b);
/* Adds or replaces.  0 or -ENOMEM. */
int bs_index_set(struct bs_index *t, uint64_t a, uint64_t b, uint32_t value);
/* Leaves an empty table. */
void bs_index_fini(struct bs_index *t);

#endif
