/* SPDX-License-Identifier: GPL-2.0-only */
/* text.h - strings for a terminal: growing, clean, shortened, wrapped. */
#ifndef BS_RENDER_TEXT_H
#define BS_RENDER_TEXT_H

#include <stddef.h>
#include <stdio.h>

/* A growing string; zero-initialised it is empty.  err sticks: 0 or -ENOMEM. */
struct bs_str {
	char *s; /* NULL while empty */
	size_t len, cap;
	int err;
};

void bs_str_fini(struct bs_str *b);
void bs_str_add(struct bs_str *b, const char *s);
void bs_str_addf(struct bs_str *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/*
 * A name that came from a traced process: what a terminal could act on becomes \xNN, what
 * would change how its neighbours are shown (bidirectional overrides, zero-width characters)
 * becomes \u{NNNN}.  NULL adds nothing.
 */
void bs_str_add_clean(struct bs_str *b, const char *s);

/*
 * Adds s, shortened to so many columns by an ellipsis in the middle.  Two thirds of what
 * stays are the tail: there stand file name and line.
 */
void bs_str_add_short(struct bs_str *b, const char *s, size_t columns);

/* What is written to; err sticks: 0 or -errno of the stream. */
struct bs_out {
	FILE *file;
	int err;
	size_t width;
	int color;
};

void bs_out_str(struct bs_out *o, const char *s);
void bs_out_spaces(struct bs_out *o, size_t n);

enum bs_style { BS_PLAIN, BS_BOLD, BS_DIM, BS_ALARM };
/* Text in a style: the bare text where colour was not asked for. */
void bs_out_styled(struct bs_out *o, enum bs_style style, const char *s);

/*
 * "  label    text", wrapped at spaces to the width, further lines indented to the text;
 * label is padded to bs_label_columns.
 */
#define BS_LABEL_COLUMNS 9
void bs_out_labelled(struct bs_out *o, enum bs_style style, const char *label, const char *text);

/* Flushes; 0 or the first error. */
int bs_out_finish(struct bs_out *o);

#endif
