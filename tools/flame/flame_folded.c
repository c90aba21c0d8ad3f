// SPDX-License-Identifier: GPL-2.0-only
/* flame_folded.c - the tree as folded stacks. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

#include "flame/flame.h"
#include "render/utf8.h"

/* What would not be read as it was written. */
static bool breaks(uint32_t cp)
{
	return cp == BS_UTF8_BAD || cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == ';';
}

/* The same line must come out of what this makes: `\` stays as it is. */
static void put_name(FILE *out, const char *s, bool first)
{
	bool escape = first && *s == '#';

	while (*s) {
		uint32_t cp;
		size_t len = bs_utf8_next(s, &cp);

		for (size_t i = 0; i < len; i++) {
			if (escape || breaks(cp))
				fprintf(out, "\\x%02x", (unsigned char)s[i]);
			else
				putc_unlocked(s[i], out);
		}
		escape = false;
		s += len;
	}
}

/* Returns 0 or -errno. */
static int put_stack(const struct bs_flame_node *nodes, const uint32_t *path, uint32_t depth,
		     FILE *out)
{
	errno = 0;
	for (uint32_t i = 1; i <= depth; i++) {
		if (i > 1)
			putc_unlocked(';', out);
		put_name(out, nodes[path[i]].name, i == 1);
	}
	fprintf(out, " %" PRIu64 "\n", nodes[path[depth]].self);
	if (ferror(out))
		return errno ? -errno : -EIO;
	return 0;
}

int bs_flame_write_folded(struct bs_flame *f, FILE *out)
{
	size_t n;
	const struct bs_flame_node *nodes = bs_flame_nodes(f, &n);
	uint32_t *path, deepest = 0;
	int ret = 0;

	if (!nodes)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (nodes[i].depth > deepest)
			deepest = nodes[i].depth;
	path = calloc((size_t)deepest + 1, sizeof(*path));
	if (!path)
		return -ENOMEM;
	for (uint32_t i = 0; !ret && i != BS_FLAME_NONE; i = bs_flame_walk(nodes, i, false)) {
		path[nodes[i].depth] = i;
		if (i && nodes[i].self)
			ret = put_stack(nodes, path, nodes[i].depth, out);
	}
	free(path);
	return ret;
}
