// SPDX-License-Identifier: GPL-2.0-only
/* text.c - strings for a terminal. */
#include "render/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "render/utf8.h"

void bs_str_fini(struct bs_str *b)
{
	free(b->s);
	memset(b, 0, sizeof(*b));
}

/* Room for n more bytes and the NUL. */
static char *reserve(struct bs_str *b, size_t n)
{
	size_t cap = b->cap ? b->cap : 64;
	char *s;

	if (b->err)
		return NULL;
	while (cap - b->len <= n)
		cap *= 2;
	if (cap != b->cap) {
		s = realloc(b->s, cap);
		if (!s) {
			b->err = -ENOMEM;
			return NULL;
		}
		b->s = s;
		b->cap = cap;
	}
	return b->s + b->len;
}

static void add_bytes(struct bs_str *b, const char *s, size_t n)
{
	char *to = reserve(b, n);

	if (!to)
		return;
	memcpy(to, s, n);
	to[n] = '\0';
	b->len += n;
}

void bs_str_add(struct bs_str *b, const char *s)
{
	add_bytes(b, s, strlen(s));
}

void bs_str_addf(struct bs_str *b, const char *fmt, ...)
{
	va_list args, again;
	char *to;
	int n;

	va_start(args, fmt);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, fmt, args);
	to = n < 0 ? NULL : reserve(b, (size_t)n);
	if (to) {
		vsnprintf(to, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	} else if (!b->err) {
		b->err = -EINVAL;
	}
	va_end(again);
	va_end(args);
}

void bs_str_add_clean(struct bs_str *b, const char *src)
{
	size_t size;
	char *clean;

	if (!src)
		return;
	size = 4 * strlen(src) + 1; /* \xNN for every byte */
	clean = malloc(size);
	if (!clean) {
		b->err = -ENOMEM;
		return;
	}
	bs_text_clean(clean, size, src);
	for (const char *s = clean; *s;) {
		uint32_t cp;
		size_t len = bs_utf8_next(s, &cp);

		if (cp != BS_UTF8_BAD && bs_utf8_invisible(cp))
			bs_str_addf(b, "\\u{%" PRIx32 "}", cp);
		else
			add_bytes(b, s, len);
		s += len;
	}
	free(clean);
}

/* The longest prefix of s that fits; *columns is lowered by what it takes. */
static size_t prefix(const char *s, size_t *columns)
{
	size_t at = 0;
	uint32_t cp;

	while (s[at]) {
		size_t len = bs_utf8_next(s + at, &cp);
		size_t w = cp == BS_UTF8_BAD ? 1 : bs_utf8_width(cp);

		if (w > *columns)
			break;
		*columns -= w;
		at += len;
	}
	return at;
}

void bs_str_add_short(struct bs_str *b, const char *s, size_t columns)
{
	size_t left = bs_utf8_columns(s), head, tail;

	if (left <= columns) {
		bs_str_add(b, s);
		return;
	}
	if (!columns)
		return;
	head = (columns - 1) / 3;
	tail = columns - 1 - head;
	add_bytes(b, s, prefix(s, &head));
	bs_str_add(b, "…");
	while (*s) {
		uint32_t cp;
		size_t len = bs_utf8_next(s, &cp);
		size_t w = cp == BS_UTF8_BAD ? 1 : bs_utf8_width(cp);

		/* A mark whose character went goes with it. */
		if (left <= tail && w)
			break;
		left -= w;
		s += len;
	}
	bs_str_add(b, s);
}

static void out_bytes(struct bs_out *o, const char *s, size_t n)
{
	if (o->err || !n)
		return;
	errno = 0;
	if (fwrite(s, 1, n, o->file) != n)
		o->err = errno ? -errno : -EIO;
}

void bs_out_str(struct bs_out *o, const char *s)
{
	out_bytes(o, s, strlen(s));
}

void bs_out_spaces(struct bs_out *o, size_t n)
{
	static const char spaces[] = "                                ";

	for (; n > sizeof(spaces) - 1; n -= sizeof(spaces) - 1)
		bs_out_str(o, spaces);
	out_bytes(o, spaces, n);
}

static void style_begin(struct bs_out *o, enum bs_style style)
{
	static const char *const codes[] = {
		[BS_BOLD] = "\033[1m",
		[BS_DIM] = "\033[2m",
		[BS_ALARM] = "\033[1;31m",
	};

	if (o->color && style != BS_PLAIN)
		bs_out_str(o, codes[style]);
}

static void style_end(struct bs_out *o, enum bs_style style)
{
	if (o->color && style != BS_PLAIN)
		bs_out_str(o, "\033[0m");
}

void bs_out_styled(struct bs_out *o, enum bs_style style, const char *s)
{
	style_begin(o, style);
	bs_out_str(o, s);
	style_end(o, style);
}

/* Whether a line may end before the space at s[at]: "4.3 %" stays together. */
static bool may_break(const char *s, size_t at)
{
	return s[at] == ' ' && s[at + 1] != '%';
}

/* Bytes of s that go on one line of so many columns: up to a space, or cut if there is none. */
static size_t line_length(const char *s, size_t columns)
{
	size_t n = prefix(s, &columns), at = n;

	if (!s[n])
		return n;
	while (at && !may_break(s, at))
		at--;
	return at ? at : n;
}

void bs_out_labelled(struct bs_out *o, enum bs_style style, const char *label, const char *text)
{
	size_t columns = o->width - 2 - BS_LABEL_COLUMNS, used = bs_utf8_columns(label);

	bs_out_str(o, "  ");
	bs_out_styled(o, style == BS_PLAIN ? BS_DIM : style, label);
	bs_out_spaces(o, used < BS_LABEL_COLUMNS ? BS_LABEL_COLUMNS - used : 1);
	for (;;) {
		size_t n = line_length(text, columns);

		style_begin(o, style);
		out_bytes(o, text, n);
		style_end(o, style);
		bs_out_str(o, "\n");
		text += n;
		while (*text == ' ')
			text++;
		if (!*text)
			break;
		bs_out_spaces(o, 2 + BS_LABEL_COLUMNS);
	}
}

int bs_out_finish(struct bs_out *o)
{
	errno = 0;
	if (!o->err && fflush(o->file))
		o->err = errno ? -errno : -EIO;
	return o->err;
}
