/* SPDX-License-Identifier: GPL-2.0-only */
/* error.h - one error with the sentence that the user will read. */
#ifndef BS_BASE_ERROR_H
#define BS_BASE_ERROR_H

#include <stddef.h>

#define BS_ERROR_TEXT 1024

/*
 * Filled by the stage that knows the name the user typed and the remedy; printed once, by
 * main.  text has no program name, no trailing newline and no full stop:
 *   "pid 812: no sites in /usr/bin/foo (built with BSCOPE_DISABLE?)"
 */
struct bs_error {
	int code; /* -errno; 0 if nothing failed */
	char text[BS_ERROR_TEXT];
};

/*
 * Stores code and the formatted sentence (cut to fit) and returns code, so that callers can
 * write `return bs_error_set(err, -ENOENT, "...", ...)`.  err may be NULL.
 */
int bs_error_set(struct bs_error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Copies src to dst (size bytes, always terminated), with every byte that a terminal could act
 * on (C0, DEL, C1, invalid UTF-8) replaced by \xNN.  For names that come from a traced process.
 */
void bs_text_clean(char *dst, size_t size, const char *src);

#endif
