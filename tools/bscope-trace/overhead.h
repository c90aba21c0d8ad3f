/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * overhead.h - --overhead: what the samples of a session say, and their picture.
 *
 * A sample becomes a stack of numbers as long as its process can be looked at (session_overhead.c);
 * their names are asked for at the end (overhead_draw.c).  overhead_report.c says what they mean.
 */
#ifndef BS_TRACE_OVERHEAD_H
#define BS_TRACE_OVERHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <uthash.h>

#include "collect/collect.h"
#include "overhead/spans.h"
#include "overhead/where.h"
#include "symbol/index.h"

struct bs_error;
struct bs_fill_wait;
struct bs_profile;
struct bs_report;
struct bs_session;

/*
 * A frame of a stack in bs_profile: what it is, and a number of 60 bits.  Marked frames are what
 * tracking costs; they are the innermost ones of their stack.
 */
#define BS_FRAME_MARKED (1ull << 63)
#define BS_FRAME_SHIFT	60
#define BS_FRAME_VALUE	((1ull << BS_FRAME_SHIFT) - 1)
enum bs_frame_kind {
	BS_FRAME_PROCESS = 0,  /* place in bs_session.followed, or BS_FRAME_VALUE */
	BS_FRAME_CODE = 1,     /* bs_code: where it was */
	BS_FRAME_CALLER = 2,   /* bs_code: where it will return to */
	BS_FRAME_TRACKING = 3, /* enum bs_where; and 256, where it is lit by traps */
	BS_FRAME_KERNEL = 4,   /* address; the bits that do not fit are set */
	BS_FRAME_RETURN = 5,   /* likewise, a return address */
};

/* Where modules of bs_lighting are mapped in a process. */
struct bs_spans {
	uint32_t pid;
	uint64_t read_ns; /* CLOCK_MONOTONIC */
	struct bs_span *v;
	size_t n;
	bool known; /* could be read at least once */
	UT_hash_handle hh;
};

/* A module of bs_lighting, and what maps call its file. */
struct bs_overhead_module {
	struct bs_wheres where;
	dev_t dev;
	ino_t ino;
};

#define BS_PROGRAMS_MAX 64

struct bs_overhead {
	struct bs_profile *profile;
	struct bs_overhead_module *modules; /* in the order of bs_lighting */
	size_t nmodules;
	struct bs_index by_file; /* (dev, ino) -> module + 1 */
	struct bs_spans *spans;	 /* by pid */
	struct bs_kernel_code programs[BS_PROGRAMS_MAX];
	size_t nprograms;
	uint64_t unlit;	     /* samples of processes whose sites were not lit just then */
	uint64_t gone;	     /* of processes that went before anybody could look where they were */
	uint64_t without_ns; /* how long was sampled before sites were lit */
	bool traps_lit;	     /* at the last reading */
};

struct bs_report_sampled;

/* What samples say; r is the report of the same session so far. */
void bs_overhead_report(const struct bs_session *s, const struct bs_report *r,
			struct bs_report_sampled *out);
/* Sentences on them, one after the other, each beginning with "--overhead: "; with r->profiled. */
void bs_overhead_notes(const struct bs_session *s, const struct bs_report *r,
		       void (*say)(void *ctx, const char *text), void *ctx);

/*
 * Draws what was sampled; r is the report of the same session; wait: as for bs_report_fill.  0 or
 * -errno of the stream; -ECANCELED when wait->more said so.
 */
int bs_overhead_draw(struct bs_session *s, const struct bs_report *r,
		     const struct bs_fill_wait *wait, FILE *out);

#endif
