/* SPDX-License-Identifier: GPL-2.0-only */
/* spans.h - where the code of some files is mapped in a process. */
#ifndef BS_OVERHEAD_SPANS_H
#define BS_OVERHEAD_SPANS_H

#include <stddef.h>
#include <stdint.h>

struct bs_index;
struct bs_maps;

struct bs_span {
	uint64_t start, end, offset; /* in the process; in the file */
	size_t file;		     /* the caller's number of it */
};

/*
 * The spans of a process, by address, in *v, which was NULL or is from an earlier call and is to be
 * freed with free().  by_file: (dev, ino) -> number of the file + 1; others are left out.  0 or
 * -ENOMEM, with *n 0.
 */
int bs_spans_make(const struct bs_maps *maps, const struct bs_index *by_file, struct bs_span **v,
		  size_t *n);

/* The span that holds addr, or NULL. */
const struct bs_span *bs_spans_find(const struct bs_span *v, size_t n, uint64_t addr);

#endif
