/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tally.h - how a program keeps its own books: what it allocates, resizes, frees and leaves,
 * printed as one line of JSON.
 */
#ifndef TALLY_H
#define TALLY_H

#include <stdio.h>

struct tally {
	unsigned long made, resizes, dropped;
	unsigned long left, left_bytes; /* alive at the end, by the program's own account */
};

static inline void tally_print(const struct tally *t)
{
	printf("{\"new\":%lu,\"drop\":%lu,\"resize_begin\":%lu,\"resize_end\":%lu,"
	       "\"left\":%lu,\"left_bytes\":%lu}\n",
	       t->made, t->dropped, t->resizes, t->resizes, t->left, t->left_bytes);
}

#endif
