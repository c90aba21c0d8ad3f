/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * json_writer.h - a streaming JSON writer: no tree in memory, whatever the size of the
 * document.
 *
 * Every call takes the member's key, or NULL inside an array and for the document itself.
 * Errors stick: after the first, calls do nothing, and bs_json_finish tells which it was.
 * Wrong use (a key in an array, an end that does not match, a second document) is -EINVAL,
 * never a document that does not parse.  The result does not depend on the locale.
 */
#ifndef BS_RENDER_JSON_WRITER_H
#define BS_RENDER_JSON_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define BS_JSON_MAX_DEPTH 16

struct bs_json {
	FILE *out;
	int err;
	unsigned depth;
	bool done;			  /* the document is complete */
	char open[BS_JSON_MAX_DEPTH];	  /* '{' or '[' */
	bool nonempty[BS_JSON_MAX_DEPTH]; /* a comma is due */
};

/* The writer borrows out until bs_json_finish. */
void bs_json_init(struct bs_json *j, FILE *out);

void bs_json_object_begin(struct bs_json *j, const char *key);
void bs_json_object_end(struct bs_json *j);
void bs_json_array_begin(struct bs_json *j, const char *key);
void bs_json_array_end(struct bs_json *j);

/* NULL gives null.  What is not UTF-8 becomes U+FFFD; what a terminal acts on is escaped. */
void bs_json_str(struct bs_json *j, const char *key, const char *value);
void bs_json_u64(struct bs_json *j, const char *key, uint64_t value);
void bs_json_i64(struct bs_json *j, const char *key, int64_t value);
/* NaN and infinities give null; others read back as the same double. */
void bs_json_double(struct bs_json *j, const char *key, double value);
void bs_json_bool(struct bs_json *j, const char *key, bool value);
void bs_json_null(struct bs_json *j, const char *key);
/* As strings, for what may pass 2^53: "1234" and "0x4d2". */
void bs_json_u64_str(struct bs_json *j, const char *key, uint64_t value);
void bs_json_hex_str(struct bs_json *j, const char *key, uint64_t value);

/* Ends the document with a newline and flushes.  0, -EINVAL (wrong use) or -errno of out. */
int bs_json_finish(struct bs_json *j);

#endif
