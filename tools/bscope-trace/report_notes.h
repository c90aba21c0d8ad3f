/* SPDX-License-Identifier: GPL-2.0-only */
/* report_notes.h - what a reader of the report must know besides. */
#ifndef BS_TRACE_REPORT_NOTES_H
#define BS_TRACE_REPORT_NOTES_H

struct bs_report;
struct bs_session;

/* r: filled, but for its notes.  say: called with each, a sentence. */
void bs_report_notes(const struct bs_session *s, const struct bs_report *r,
		     void (*say)(void *ctx, const char *text), void *ctx);

#endif
