/* SPDX-License-Identifier: GPL-2.0-only */
/* flame_svg.h - a flamegraph as one SVG file that needs nothing else. */
#ifndef BS_FLAME_FLAME_SVG_H
#define BS_FLAME_FLAME_SVG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct bs_flame;

#define BS_FLAME_WIDTH	   1200u
#define BS_FLAME_MIN_WIDTH 0.1

struct bs_flame_svg {
	const char *title;	  /* NULL: "Flamegraph" */
	const char *const *notes; /* lines below the title */
	size_t nnotes;
	const char *unit;   /* what values count: samples, bytes, ...; NULL: samples */
	const char *marked; /* what marked frames are, for the legend; NULL: "marked" */
	/*
	 * Of a tree by bs_flame_add_sides: what the sides are called.  Frames are coloured by how
	 * their part of the second side differs from that of the first, and grey where that is
	 * within noise(before, of so many, after, of so many); NULL: nothing is.
	 */
	const char *sides[2];
	bool (*noise)(uint64_t before, uint64_t all_before, uint64_t after, uint64_t all_after);
	bool icicle;	  /* the root at the top, not at the bottom */
	unsigned width;	  /* in pixels, 200 to 10000 */
	double min_width; /* narrower frames are left out; in pixels, above 0 */
};

/*
 * Draws the tree: rectangles with their names cut to fit, which says all it can without scripts;
 * with scripts it zooms and searches.  How many frames were left out is part of the text.  Strings
 * are any bytes: what XML or a terminal could act on is shown as \xNN or \u{NNNN}.  Equal trees
 * make equal bytes.  Returns 0, -ENOMEM, or -errno of the stream, which is not flushed.
 */
int bs_flame_svg_write(struct bs_flame *f, const struct bs_flame_svg *how, FILE *out);

#endif
