/* SPDX-License-Identifier: GPL-2.0-only */
/* render_check.h - what a renderer wrote, as a string; golden files; own checks of text. */
#ifndef TESTS_UNIT_RENDER_CHECK_H
#define TESTS_UNIT_RENDER_CHECK_H

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

/* A stream that ends in a string. */
struct capture {
	FILE *f;
	char *s;
	size_t n;
};

static inline FILE *capture_begin(struct capture *c)
{
	c->f = open_memstream(&c->s, &c->n);
	assert_non_null(c->f);
	return c->f;
}

static inline char *capture_end(struct capture *c)
{
	assert_int_equal(fclose(c->f), 0);
	return c->s;
}

/* Compares with tests/golden/NAME; run from the top of the tree, as make does. */
static inline void assert_golden(const char *name, const char *text)
{
	char path[256], *want;
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "tests/golden/%s", name);
	f = fopen(path, "r");
	if (!f)
		fail_msg("%s: %s", path, strerror(errno));
	want = calloc(1, 1 << 20);
	assert_non_null(want);
	n = fread(want, 1, (1 << 20) - 1, f);
	fclose(f);
	assert_true(n > 0);
	if (strcmp(want, text))
		fail_msg("%s differs; this was written:\n%s", path, text);
	free(want);
}

/*
 * Fails unless each byte of the text is harmless: valid UTF-8 by the C library's own decoder,
 * no control character but newline, none that turns the reading direction or cannot be seen.
 */
static inline void assert_harmless(const char *text)
{
	mbstate_t state;
	wchar_t c;

	assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
	memset(&state, 0, sizeof(state));
	for (const char *s = text; *s;) {
		size_t n = mbrtowc(&c, s, strnlen(s, 8), &state);

		if (n == (size_t)-1 || n == (size_t)-2)
			fail_msg("not UTF-8 at: %.40s", s);
		if ((c < 0x20 && c != '\n') || (c >= 0x7f && c < 0xa0) ||
		    (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
		    (c >= 0x2060 && c <= 0x206f) || c == 0x61c || c == 0xfeff ||
		    (c >= 0xe0000 && c <= 0xe0fff))
			fail_msg("U+%04x went through", (unsigned)c);
		s += n;
	}
	setlocale(LC_CTYPE, "C");
}

/* Columns of the widest line, by the C library's wcwidth. */
static inline size_t widest_line(const char *text)
{
	size_t widest = 0, columns = 0;
	mbstate_t state;
	wchar_t c;

	assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
	memset(&state, 0, sizeof(state));
	for (const char *s = text; *s;) {
		size_t n = mbrtowc(&c, s, strnlen(s, 8), &state);

		assert_true(n != (size_t)-1 && n != (size_t)-2);
		s += n;
		columns = c == '\n' ? 0 : columns + (size_t)wcwidth(c);
		if (columns > widest)
			widest = columns;
	}
	setlocale(LC_CTYPE, "C");
	return widest;
}

#endif
