// SPDX-License-Identifier: GPL-2.0-only
/* strings.c - many strings of one file, read once each. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "target/elf.h"
#include "target/strings.h"

#define BLOCK_SIZE  65536u
#define WINDOW_SIZE 65536u

struct bs_string_block {
	struct bs_string_block *next;
	size_t used;
	char text[BLOCK_SIZE];
};

_Static_assert(BLOCK_SIZE > BS_STRING_MAX, "a string fits a block");
_Static_assert(WINDOW_SIZE > BS_STRING_MAX, "a string fits the window");

int bs_strings_add(struct bs_strings *s, uint64_t offset, uint64_t room)
{
	if (s->n == s->room) {
		size_t more = s->room ? s->room * 2 : 256;
		struct bs_string *v = realloc(s->v, more * sizeof(*v));

		if (!v)
			return -ENOMEM;
		s->v = v;
		s->room = more;
	}
	s->v[s->n++] = (struct bs_string){.offset = offset, .room = room};
	return 0;
}

static int order(const void *a, const void *b)
{
	const struct bs_string *x = a, *y = b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* A copy of len bytes and a terminator, NULL when out of memory. */
static const char *keep(struct bs_strings *s, const char *text, size_t len)
{
	struct bs_string_block *b = s->blocks;
	char *to;

	if (!b || BLOCK_SIZE - b->used < len + 1) {
		b = malloc(sizeof(*b));
		if (!b)
			return NULL;
		b->next = s->blocks;
		b->used = 0;
		s->blocks = b;
	}
	to = b->text + b->used;
	memcpy(to, text, len);
	to[len] = '\0';
	b->used += len + 1;
	return to;
}

int bs_strings_read(struct bs_strings *s, const struct bs_elf *e)
{
	uint64_t budget = e->size, at = 0;
	char *window = malloc(WINDOW_SIZE);
	size_t have = 0, kept = 0;
	int ret = 0;

	if (!window)
		return -ENOMEM;
	if (s->n)
		qsort(s->v, s->n, sizeof(*s->v), order);
	for (size_t i = 0; i < s->n; i++) {
		struct bs_string *w = &s->v[i];
		size_t max = w->room < BS_STRING_MAX + 1 ? (size_t)w->room : BS_STRING_MAX + 1;
		const char *nul;

		if (kept && s->v[kept - 1].offset == w->offset)
			continue;
		s->v[kept] = *w;
		w = &s->v[kept++];
		if (w->offset >= e->size)
			continue;
		if (max > e->size - w->offset)
			max = (size_t)(e->size - w->offset);
		if (w->offset < at || w->offset + max > at + have) {
			at = w->offset;
			have = WINDOW_SIZE;
			if (have > e->size - at)
				have = (size_t)(e->size - at);
			ret = bs_elf_read(e, at, window, have);
			if (ret == -ENOEXEC) { /* cut short meanwhile */
				have = 0;
				ret = 0;
				continue;
			}
			if (ret)
				goto out;
		}
		nul = memchr(window + (w->offset - at), '\0', max);
		if (!nul)
			continue;
		max = (size_t)(nul - (window + (w->offset - at)));
		if (max + 1 > budget)
			continue;
		budget -= max + 1;
		w->text = keep(s, window + (w->offset - at), max);
		if (!w->text) {
			ret = -ENOMEM;
			goto out;
		}
	}
	s->n = kept;
out:
	free(window);
	return ret;
}

const char *bs_strings_find(const struct bs_strings *s, uint64_t offset)
{
	struct bs_string key = {.offset = offset};
	const struct bs_string *w;

	w = s->n ? bsearch(&key, s->v, s->n, sizeof(*s->v), order) : NULL;
	return w ? w->text : NULL;
}

void bs_strings_fini(struct bs_strings *s)
{
	while (s->blocks) {
		struct bs_string_block *next = s->blocks->next;

		free(s->blocks);
		s->blocks = next;
	}
	free(s->v);
	memset(s, 0, sizeof(*s));
}
