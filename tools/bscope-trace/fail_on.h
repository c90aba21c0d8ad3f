/* SPDX-License-Identifier: GPL-2.0-only */
/* fail_on.h - the names of verdicts, and --fail-on: which of them make the exit status 2. */
#ifndef BS_TRACE_FAIL_ON_H
#define BS_TRACE_FAIL_ON_H

#include <stddef.h>
#include <stdint.h>

#include "model/model.h"

struct bs_error;
struct bs_report;

/* The spelling of reports and of --fail-on ("double-drop"); NULL if there is no such verdict. */
const char *bs_verdict_name(enum bs_verdict v);

/*
 * A set of verdicts: bit v for enum bs_verdict, one for what was alive at exit, and one for cycles
 * of locks.
 */
#define BS_FAIL_ON_LIVE_AT_EXIT (1u << 0)
#define BS_FAIL_ON_LOCK_CYCLE	(1u << BS_VERDICT_END)

/*
 * Adds the verdicts of a list with commas.  "any" is each but live-at-exit and lock-cycle, which
 * are no errors that happened.  0, or -EINVAL with a sentence that says which names there are; set
 * is then unchanged.
 */
int bs_fail_on_add(unsigned *set, const char *list, struct bs_error *err);

/*
 * What of a set a report has, as "3 double-drop, 1 leak" in text (cut to fit, empty if nothing).
 * The number of findings; of live-at-exit the objects count.
 */
uint64_t bs_fail_on_found(unsigned set, const struct bs_report *r, char *text, size_t size);

#endif
