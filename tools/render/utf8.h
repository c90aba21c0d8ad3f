/* SPDX-License-Identifier: GPL-2.0-only */
/* utf8.h - code points of strings that nobody vouches for, and their width on a terminal. */
#ifndef BS_RENDER_UTF8_H
#define BS_RENDER_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BS_UTF8_BAD UINT32_MAX

/*
 * Decodes the code point at s, which is NUL-terminated and not at its end.  Returns the bytes
 * consumed, at least 1 and never past the NUL.  *cp is BS_UTF8_BAD for what is not UTF-8
 * (overlong, surrogate, past U+10FFFF, cut short); then the longest prefix that could have
 * begun a character is consumed, as Unicode 15 section 3.9 recommends.
 */
size_t bs_utf8_next(const char *s, uint32_t *cp);

/*
 * Characters without a shape of their own that change how others are shown: bidirectional
 * overrides, zero-width and line separators, tags, noncharacters, C0 and C1.
 */
bool bs_utf8_invisible(uint32_t cp);

/* Columns that a code point takes: 0 (combining), 1 or 2 (East Asian wide, emoji). */
unsigned bs_utf8_width(uint32_t cp);

/* Columns that a string takes; an invalid byte counts 1. */
size_t bs_utf8_columns(const char *s);

#endif
