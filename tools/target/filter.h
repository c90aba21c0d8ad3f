/* SPDX-License-Identifier: GPL-2.0-only */
/* filter.h - which sites to light: the language of -f. */
#ifndef BS_TARGET_FILTER_H
#define BS_TARGET_FILTER_H

#include <stdbool.h>

struct bs_error;
struct bs_site;
struct bs_filter;

/*
 * Parses "KEY=VALUE[,VALUE...]" with KEY one of kind (a spelling of enum bscope_kind), class,
 * file, name (shell globs; file also matches the path's tail: file=conn.c fits src/conn.c).
 * Further calls on the same filter narrow it (and); the values of one call widen it (or).
 * *f is created when NULL.  -EINVAL with the remedy in err; *f stays valid.
 */
int bs_filter_add(struct bs_filter **f, const char *expr, struct bs_error *err);
void bs_filter_free(struct bs_filter *f);
/* A NULL filter matches everything. */
bool bs_filter_match(const struct bs_filter *f, const struct bs_site *site);

#endif
