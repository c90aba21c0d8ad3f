/* SPDX-License-Identifier: GPL-2.0-only */
/* table.h - a hash table from two numbers to a third that is not 0. */
#ifndef BS_SYMBOL_TABLE_H
#define BS_SYMBOL_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct bs_table_slot {
	uint64_t a, b;
	uint32_t value; /* 0: free */
};

/* All zeros is an empty table. */
struct bs_table {
	struct bs_table_slot *slots;
	size_t size; /* power of two, or 0 */
	size_t used;
};

/* The value, 0 if there is none. */
uint32_t bs_table_find(const struct bs_table *t, uint64_t a, uint64_t b);
/* Adds or replaces.  0 or -ENOMEM. */
int bs_table_set(struct bs_table *t, uint64_t a, uint64_t b, uint32_t value);
/* Leaves an empty table. */
void bs_table_fini(struct bs_table *t);

#endif
