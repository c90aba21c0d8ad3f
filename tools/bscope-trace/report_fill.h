/* SPDX-License-Identifier: GPL-2.0-only */
/* report_fill.h - from a finished session to the plain data that the renderers take. */
#ifndef BS_TRACE_REPORT_FILL_H
#define BS_TRACE_REPORT_FILL_H

#include "render/report.h"

struct bs_session;
struct bs_error;

struct bs_filled {
	struct bs_report report;
	void *memory; /* everything the report points to that the session does not own */
};

/* After bs_session_end.  The report is valid until the session or the fill is freed. */
int bs_report_fill(struct bs_session *s, struct bs_filled *out, struct bs_error *err);
void bs_report_fini(struct bs_filled *f);

/* The rows of --list; *n of them, to be freed with free().  Only what the filter chose. */
struct bs_sites;
struct bs_report_site *bs_report_sites(const struct bs_sites *sites, size_t *n);

#endif
