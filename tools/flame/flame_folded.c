// SPDX-License-Identifier: GPL-2.0-only
/* flame_folded.c - the tree as folded stacks. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

#include "flame/flame.h"
#include "render/text.h"

struct text {
	struct bs_str clean, name;
};

/* The same name must come out of what this makes: `\` stays as it is. */
static const char *folded_name(void *ctx, const struct bs_flame_node *node)
{
	struct text *t = ctx;

	t->clean.len = t->name.len = 0;
	bs_str_add_clean(&t->clean, node->name);
	for (const char *s = t->clean.s; !t->clean.err && *s; s++) {
		bool begins = node->depth == 1 && s == t->clean.s && *s == '#';

		bs_str_addf(&t->name, *s == ';' || begins ? "\\x%02x" : "%c", *s);
	}
	return t->clean.err || t->name.err ? NULL : t->name.s;
}

/* Returns 0 or -errno. */
static int put_stack(const struct bs_flame_node *nodes, const uint32_t *path, uint32_t depth,
		     FILE *out)
{
	errno = 0;
	for (uint32_t i = 1; i <= depth; i++) {
		if (i > 1)
			putc_unlocked(';', out);
		fputs(nodes[path[i]].name, out);
	}
	fprintf(out, " %" PRIu64 "\n", nodes[path[depth]].self);
	if (ferror(out))
		return errno ? -errno : -EIO;
	return 0;
}

static int put_stacks(struct bs_flame *f, FILE *out)
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

/* Sorted by what is written, not by what it was: or what is read of it would be in another order.
 */
int bs_flame_write_folded(struct bs_flame *f, FILE *out)
{
	struct text text = {0};
	struct bs_flame *g = bs_flame_renamed(f, folded_name, &text);
	int ret = g ? put_stacks(g, out) : -ENOMEM;

	bs_str_fini(&text.clean);
	bs_str_fini(&text.name);
	bs_flame_free(g);
	return ret;
}
