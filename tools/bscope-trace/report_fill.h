/* SPDX-License-Identifier: GPL-2.0-only */
/* report_fill.h - from a finished session to the plain data that the renderers take. */
#ifndef BS_TRACE_REPORT_FILL_H
#define BS_TRACE_REPORT_FILL_H

#include <stdbool.h>
#include <stddef.h>

#include "render/report.h"

struct bs_session;
struct bs_error;

struct bs_filled {
	struct bs_report report;
	void *memory; /* everything the report points to that the session does not own */
};

/*
 * Looking up the names of callers can take long: more, if not NULL, is called several times a
 * second with how many of how many are done.  With false the others stay without.
 */
struct bs_fill_wait {
	bool (*more)(void *ctx, size_t done, size_t total);
	void *ctx;
};

/* After bs_session_end.  The report is valid until the session or the fill is freed. */
int bs_report_fill(struct bs_session *s, const struct bs_fill_wait *wait, struct bs_filled *out,
		   struct bs_error *err);
void bs_report_fini(struct bs_filled *f);

/* The rows of --list; *n of them, to be freed with free().  Only what the filter chose. */
struct bs_sites;
struct bs_report_site *bs_report_sites(const struct bs_sites *sites, size_t *n);

#endif
