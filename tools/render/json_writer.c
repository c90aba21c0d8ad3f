// SPDX-License-Identifier: GPL-2.0-only
/* json_writer.c - a streaming JSON writer. */
#include "render/json_writer.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "render/human.h"
#include "render/utf8.h"

/*
 * Members of the document and of its members get lines of their own, and so do the rows of an
 * array among them; a row itself stays on one line.
 */
#define LINE_DEPTH 3

static bool has_lines(const struct bs_json *j, unsigned depth)
{
	return depth < LINE_DEPTH - 1 || (depth == LINE_DEPTH - 1 && j->open[depth] == '[');
}

void bs_json_init(struct bs_json *j, FILE *out)
{
	memset(j, 0, sizeof(*j));
	j->out = out;
}

static void put(struct bs_json *j, const char *s, size_t n)
{
	if (j->err)
		return;
	errno = 0;
	if (n && fwrite(s, 1, n, j->out) != n)
		j->err = errno ? -errno : -EIO;
}

static void put_str(struct bs_json *j, const char *s)
{
	put(j, s, strlen(s));
}

static void new_line(struct bs_json *j)
{
	static const char indent[] = "\n      ";
	_Static_assert(sizeof(indent) == 2 + 2 * LINE_DEPTH, "two spaces per level");

	put(j, indent, 1 + 2 * (size_t)j->depth);
}

static void put_escaped(struct bs_json *j, uint32_t cp)
{
	char buf[16];

	/* Past the basic plane JSON knows only pairs of surrogates. */
	if (cp > 0xffff)
		snprintf(buf, sizeof(buf), "\\u%04" PRIx32 "\\u%04" PRIx32,
			 0xd800 + ((cp - 0x10000) >> 10), 0xdc00 + ((cp - 0x10000) & 0x3ff));
	else
		snprintf(buf, sizeof(buf), "\\u%04" PRIx32, cp);
	put_str(j, buf);
}

static void put_quoted(struct bs_json *j, const char *s)
{
	const char *plain = s; /* start of what is copied as it is */

	put(j, "\"", 1);
	while (*s) {
		uint32_t cp;
		size_t len = bs_utf8_next(s, &cp);
		bool escape = cp == '"' || cp == '\\' || bs_utf8_invisible(cp);

		if (cp == BS_UTF8_BAD || escape) {
			put(j, plain, (size_t)(s - plain));
			plain = s + len;
			if (cp == BS_UTF8_BAD)
				put_str(j, "\xef\xbf\xbd");
			else if (cp == '"')
				put_str(j, "\\\"");
			else if (cp == '\\')
				put_str(j, "\\\\");
			else if (cp == '\n')
				put_str(j, "\\n");
			else if (cp == '\t')
				put_str(j, "\\t");
			else
				put_escaped(j, cp);
		}
		s += len;
	}
	put(j, plain, (size_t)(s - plain));
	put(j, "\"", 1);
}

/* All that comes before a value: comma, line, key.  False if there must be no value here. */
static bool value_begin(struct bs_json *j, const char *key)
{
	bool in_object = j->depth && j->open[j->depth - 1] == '{';

	if (j->err)
		return false;
	if (j->done || in_object != (key != NULL)) {
		j->err = -EINVAL;
		return false;
	}
	if (j->depth) {
		if (j->nonempty[j->depth - 1])
			put(j, ",", 1);
		if (has_lines(j, j->depth - 1))
			new_line(j);
		else if (j->nonempty[j->depth - 1])
			put(j, " ", 1);
		j->nonempty[j->depth - 1] = true;
	}
	if (key) {
		put_quoted(j, key);
		put(j, ": ", 2);
	}
	return true;
}

static void value_end(struct bs_json *j)
{
	if (!j->depth)
		j->done = true;
}

static void begin(struct bs_json *j, const char *key, char open)
{
	if (j->depth == BS_JSON_MAX_DEPTH && !j->err)
		j->err = -EINVAL;
	if (!value_begin(j, key))
		return;
	put(j, &open, 1);
	j->open[j->depth] = open;
	j->nonempty[j->depth] = false;
	j->depth++;
}

static void end(struct bs_json *j, char open, char close)
{
	bool lines;

	if (j->err)
		return;
	if (!j->depth || j->open[j->depth - 1] != open) {
		j->err = -EINVAL;
		return;
	}
	lines = has_lines(j, j->depth - 1) && j->nonempty[j->depth - 1];
	j->depth--;
	if (lines)
		new_line(j);
	put(j, &close, 1);
	value_end(j);
}

void bs_json_object_begin(struct bs_json *j, const char *key)
{
	begin(j, key, '{');
}

void bs_json_object_end(struct bs_json *j)
{
	end(j, '{', '}');
}

void bs_json_array_begin(struct bs_json *j, const char *key)
{
	begin(j, key, '[');
}

void bs_json_array_end(struct bs_json *j)
{
	end(j, '[', ']');
}

static void literal(struct bs_json *j, const char *key, const char *text)
{
	if (!value_begin(j, key))
		return;
	put_str(j, text);
	value_end(j);
}

void bs_json_str(struct bs_json *j, const char *key, const char *value)
{
	if (!value) {
		bs_json_null(j, key);
		return;
	}
	if (!value_begin(j, key))
		return;
	put_quoted(j, value);
	value_end(j);
}

void bs_json_u64(struct bs_json *j, const char *key, uint64_t value)
{
	char buf[24];

	snprintf(buf, sizeof(buf), "%" PRIu64, value);
	literal(j, key, buf);
}

void bs_json_i64(struct bs_json *j, const char *key, int64_t value)
{
	char buf[24];

	snprintf(buf, sizeof(buf), "%" PRId64, value);
	literal(j, key, buf);
}

void bs_json_double(struct bs_json *j, const char *key, double value)
{
	char buf[64];

	if (!isfinite(value)) {
		bs_json_null(j, key);
		return;
	}
	/* 15 digits say most numbers as people wrote them, 17 say every double. */
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(buf, sizeof(buf), "%.*g", digits, value);
		if (strtod(buf, NULL) == value)
			break;
	}
	bs_fmt_point(buf);
	literal(j, key, buf);
}

void bs_json_bool(struct bs_json *j, const char *key, bool value)
{
	literal(j, key, value ? "true" : "false");
}

void bs_json_null(struct bs_json *j, const char *key)
{
	literal(j, key, "null");
}

void bs_json_u64_str(struct bs_json *j, const char *key, uint64_t value)
{
	char buf[32];

	snprintf(buf, sizeof(buf), "\"%" PRIu64 "\"", value);
	literal(j, key, buf);
}

void bs_json_hex_str(struct bs_json *j, const char *key, uint64_t value)
{
	char buf[32];

	snprintf(buf, sizeof(buf), "\"0x%" PRIx64 "\"", value);
	literal(j, key, buf);
}

int bs_json_finish(struct bs_json *j)
{
	if (!j->err && !j->done)
		j->err = -EINVAL;
	put(j, "\n", 1);
	errno = 0;
	if (!j->err && fflush(j->out))
		j->err = errno ? -errno : -EIO;
	return j->err;
}
