// SPDX-License-Identifier: GPL-2.0-only
/* folded.c - reads folded stacks, which may come from anybody. */
#include "flame/folded.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/num.h"
#include "flame/flame.h"

struct reader {
	struct bs_flame *f;
	FILE *in;
	const char *name;
	struct bs_error *err;
	size_t number; /* of the line, from 1 */
	char *line;    /* without its end, NUL-terminated */
	size_t len, room;
	struct bs_flame_frame *stack;
	size_t stack_room;
};

static int bad(struct reader *r, int code, const char *what)
{
	return bs_error_set(r->err, code, "%s: line %zu: %s", r->name, r->number, what);
}

static int no_memory(struct reader *r)
{
	return bad(r, -ENOMEM, "out of memory: merge fewer stacks at a time");
}

/* Room for n bytes in the line. */
static int line_room(struct reader *r, size_t n)
{
	size_t room = r->room ? r->room : 256;
	char *p;

	if (n <= r->room)
		return 0;
	while (room < n)
		room *= 2;
	p = realloc(r->line, room);
	if (!p)
		return no_memory(r);
	r->line = p;
	r->room = room;
	return 0;
}

/* Reads one line.  Returns 1, 0 at the end of the file, or -errno. */
static int line_read(struct reader *r)
{
	int c, ret;

	r->len = 0;
	r->number++;
	errno = 0;
	while ((c = getc_unlocked(r->in)) != EOF && c != '\n') {
		ret = line_room(r, r->len + 6);
		if (ret)
			return ret;
		if (r->len >= BS_FOLDED_LINE)
			return bad(r, -EINVAL,
				   "longer than 64 MiB: is this a file of folded stacks?");
		if (c) {
			r->line[r->len++] = (char)c;
			continue;
		}
		memcpy(r->line + r->len, "\\x00", 4);
		r->len += 4;
	}
	if (c == EOF && ferror(r->in)) {
		ret = errno ? -errno : -EIO;
		return bs_error_set(r->err, ret, "%s: %s: choose a file that can be read", r->name,
				    strerror(-ret));
	}
	if (c == EOF && !r->len)
		return 0;
	ret = line_room(r, r->len + 1);
	if (ret)
		return ret;
	if (r->len && r->line[r->len - 1] == '\r')
		r->len--;
	r->line[r->len] = '\0';
	return 1;
}

/* Cuts the count off the line. */
static int count_take(struct reader *r, uint64_t *value)
{
	char *space = strrchr(r->line, ' ');
	int ret;

	if (!space || !space[1])
		return bad(r, -EINVAL,
			   "no count: write each stack as frame;frame;leaf, a space, and a whole "
			   "number");
	ret = bs_num_u64(space + 1, 0, UINT64_MAX, value);
	if (ret == -ERANGE)
		return bad(r, -EINVAL, "the count is past 64 bits: use a larger unit");
	if (ret)
		return bad(r, -EINVAL,
			   "what follows the last space is no count: use a whole number of 0 or "
			   "more, without sign or fraction");
	if (space == r->line)
		return bad(r, -EINVAL, "a count without a stack: write frame;frame;leaf before it");
	*space = '\0';
	return 0;
}

static int stack_split(struct reader *r, size_t *n)
{
	char *s = r->line;

	*n = 0;
	do {
		char *end = strchr(s, ';');

		if (*n == BS_FLAME_DEPTH)
			return bad(r, -E2BIG,
				   "more than 1,000,000 frames: cut the stack where it repeats");
		if (*n == r->stack_room) {
			size_t room = r->stack_room ? r->stack_room * 2 : 256;
			void *p = realloc(r->stack, room * sizeof(*r->stack));

			if (!p)
				return no_memory(r);
			r->stack = p;
			r->stack_room = room;
		}
		if (end)
			*end++ = '\0';
		r->stack[(*n)++] = (struct bs_flame_frame){.name = s};
		s = end;
	} while (s);
	return 0;
}

static int line_add(struct reader *r)
{
	uint64_t value;
	size_t n;
	int ret;

	if (r->line[0] == '#' || strspn(r->line, " \t") == r->len)
		return 0;
	ret = count_take(r, &value);
	if (!ret)
		ret = stack_split(r, &n);
	if (ret)
		return ret;
	ret = bs_flame_add(r->f, r->stack, n, value);
	if (ret == -EOVERFLOW)
		return bad(r, ret, "the sum of all counts is past 64 bits: use a larger unit");
	return ret ? no_memory(r) : 0;
}

int bs_folded_read(struct bs_flame *f, FILE *in, const char *name, struct bs_error *err)
{
	struct reader r = {.f = f, .in = in, .name = name, .err = err};
	int ret;

	while ((ret = line_read(&r)) > 0) {
		ret = line_add(&r);
		if (ret)
			break;
	}
	free(r.line);
	free(r.stack);
	return ret;
}
