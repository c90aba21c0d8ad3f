/* SPDX-License-Identifier: GPL-2.0-only */
/* layout.h - where the frames of a flamegraph stand. */
#ifndef BS_FLAME_LAYOUT_H
#define BS_FLAME_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

struct bs_flame;

/* One frame that is drawn. */
struct bs_flame_box {
	uint32_t node;	 /* its number in bs_flame_nodes */
	uint32_t depth;	 /* the root 0 */
	uint64_t start;	 /* what stands to the left of it, in the unit of values */
	double x, width; /* in pixels; the root from 0 on */
};

struct bs_flame_layout {
	struct bs_flame_box *boxes; /* parents before children, from left to right */
	size_t n;
	uint32_t deepest; /* the largest depth */
	size_t left_out;  /* frames that are too narrow */
	uint64_t left_out_value;
	uint64_t marked_value; /* of marked frames, each column once; also of those left out */
	size_t marked;	       /* marked frames, also those left out */
};

/*
 * Lays the tree out over width pixels: the width of a frame is proportional to its total, children
 * stand within their parents, by name from the left, and what a frame has itself stays free at its
 * right.  Frames narrower than min_width pixels are left out, with all above them.  Nothing has a
 * width if all values are 0.  Returns 0 or -ENOMEM; free with bs_flame_layout_fini.
 */
int bs_flame_layout(struct bs_flame *f, double width, double min_width, struct bs_flame_layout *l);
void bs_flame_layout_fini(struct bs_flame_layout *l);

#endif
