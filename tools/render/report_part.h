/* SPDX-License-Identifier: GPL-2.0-only */
/* report_part.h - what the files of the text report share: how its parts look. */
#ifndef BS_RENDER_REPORT_PART_H
#define BS_RENDER_REPORT_PART_H

#include <stddef.h>

#include "render/text.h"

struct bs_report;

#define BS_TOP_ROWS 10

/* How many of n rows are shown: all with -v. */
size_t bs_part_shown(const struct bs_report *r, size_t n, size_t top);

/* Begins a part below the head; remark may be NULL. */
void bs_part_heading(struct bs_out *o, const char *text, const char *remark);

/* How many rows were left out, if any. */
void bs_part_more(struct bs_out *o, size_t shown, size_t n);

/* Prints and frees one labelled line of the head.  0 or the string's error. */
int bs_part_line(struct bs_out *o, enum bs_style style, const char *label, struct bs_str *s);

/* report_verdicts.c: what is wrong, as a line of the head and in full.  0 or -ENOMEM. */
int bs_part_verdicts_head(struct bs_out *o, const struct bs_report *r);
int bs_part_verdicts(struct bs_out *o, const struct bs_report *r);

/* report_cost.c: of the head.  0 or -ENOMEM. */
int bs_part_cost(struct bs_out *o, const struct bs_report *r);

/* report_locks.c.  0 or -ENOMEM. */
int bs_part_cycles_head(struct bs_out *o, const struct bs_report *r);
int bs_part_cycles(struct bs_out *o, const struct bs_report *r);
int bs_part_lock_uses(struct bs_out *o, const struct bs_report *r);

#endif
