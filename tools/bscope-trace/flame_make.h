/* SPDX-License-Identifier: GPL-2.0-only */
/* flame_make.h - from a finished session to the stacks that --flame and --folded are of. */
#ifndef BS_TRACE_FLAME_MAKE_H
#define BS_TRACE_FLAME_MAKE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct bs_error;
struct bs_fill_wait;
struct bs_flame;
struct bs_report;
struct bs_session;

struct bs_flame_made {
	struct bs_flame *flame;
	uint64_t total;	     /* of all values; 0: there is nothing to draw */
	const char *what;    /* "live bytes"; constant */
	const char *unit;    /* "bytes"; constant */
	const char *nothing; /* why the total may be 0, and what to do; constant */
	char title[256];
	char notes[8][512];
	size_t nnotes;
};

/*
 * Names all frames, which may take long; wait: as for bs_report_fill.  r: the report of the same
 * session.  0 or -errno with err, -ECANCELED when wait->more said so; fini in any case.
 */
int bs_flame_make(struct bs_session *s, const struct bs_report *r, struct bs_flame_made *out,
		  const struct bs_fill_wait *wait, struct bs_error *err);
void bs_flame_made_fini(struct bs_flame_made *m);

/* Draws it, as bs_flame_svg_write. */
int bs_flame_made_draw(struct bs_flame_made *m, FILE *out);

#endif
