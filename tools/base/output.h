/* SPDX-License-Identifier: GPL-2.0-only */
/* output.h - where results go: standard output, or a file that appears whole or not at all. */
#ifndef BS_BASE_OUTPUT_H
#define BS_BASE_OUTPUT_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

struct bs_error;

struct bs_output {
	FILE *file;
	const char *name;    /* as typed; NULL: standard output */
	bool unnamed;	     /* the file has no name until it is complete */
	char temp[PATH_MAX]; /* or this one; "" when written in place */
};

/*
 * To be called first: a standard stream that the caller has closed would be the number of the next
 * file that is opened, and messages would go into it.  Programs that are run still find it closed.
 */
void bs_streams_fill(void);

/*
 * Would two outputs be one file, by whatever ways it is named?  NULL: standard output.  Devices may
 * be both.
 */
bool bs_output_same(const char *a, const char *b);

/*
 * Opens the output before the work begins, so that a name that cannot be written fails at
 * once.  A regular file has no name at first, so that nothing is left of it however the process
 * ends, or where its file system cannot do that a temporary one beside its own; anything else (a
 * pipe, a device) is written in place.  name NULL: standard output.
 */
int bs_output_open(struct bs_output *o, const char *name, struct bs_error *err);

/*
 * Flushes and gives the file its name, unless writing failed before (write_error, -errno or 0).  On
 * error (disk full, ...) what was written is gone, an older file of that name is as it was, and
 * err says what to do; what names what was written ("report").
 */
int bs_output_commit(struct bs_output *o, const char *what, int write_error, struct bs_error *err);

/* Forgets what was written, if it was not committed. */
void bs_output_abort(struct bs_output *o);

#endif
