/* SPDX-License-Identifier: GPL-2.0-only */
/* layout.h - where the frames of a flamegraph stand. */
#ifndef BS_FLAME_LAYOUT_H
#define BS_FLAME_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bs_flame;

/* What there is room for. */
struct bs_flame_room {
	double width;	  /* of the root, in pixels */
	double min_width; /* narrower frames are not drawn, nor what stands on them; above 0 */
	uint32_t rows;	  /* nor those of which the depth is more than this */
	size_t narrow;	  /* narrow frames that are laid out all the same: the largest */
};

/* One frame. */
struct bs_flame_box {
	uint32_t node;	 /* its number in bs_flame_nodes */
	uint32_t depth;	 /* the root 0 */
	uint64_t start;	 /* what stands to the left of it, in the unit of values */
	double x, width; /* in pixels; the root from 0 on */
	bool narrow;	 /* not drawn; what stands on it is narrow as well */
};

struct bs_flame_layout {
	struct bs_flame_box *boxes; /* parents before children, from left to right */
	size_t n, narrow;	    /* all of them; those that are narrow */
	uint32_t deepest;	    /* the largest depth of what is drawn */
	size_t left_out;	    /* frames that are not drawn, narrow or not laid out at all */
	uint64_t left_out_value;
	size_t too_deep;       /* of those: deeper than there are rows */
	size_t missing;	       /* frames with a value that are not laid out at all */
	uint64_t missing_most; /* the largest value of one */
	uint64_t marked_value; /* of marked frames, each column once; also of those left out */
	size_t marked;	       /* marked frames, also those left out */
};

/*
 * Lays the tree out: the width of a frame is proportional to its total, children stand within their
 * parents, by name from the left, and what a frame has itself stays free at its right.  Nothing has
 * a width if all values are 0.  Returns 0 or -ENOMEM; free with bs_flame_layout_fini.
 */
int bs_flame_layout(struct bs_flame *f, const struct bs_flame_room *room,
		    struct bs_flame_layout *l);
void bs_flame_layout_fini(struct bs_flame_layout *l);

#endif
