// SPDX-License-Identifier: GPL-2.0-only
/* layout.c - where the frames of a flamegraph stand. */
#include "flame/layout.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "flame/flame.h"

static int box_add(struct bs_flame_layout *l, size_t *room, const struct bs_flame_box *box)
{
	if (l->n == *room) {
		size_t want = *room ? *room * 2 : 64;
		void *p = reallocarray(l->boxes, want, sizeof(*l->boxes));

		if (!p)
			return -ENOMEM;
		l->boxes = p;
		*room = want;
	}
	l->boxes[l->n++] = *box;
	if (box->depth > l->deepest)
		l->deepest = box->depth;
	return 0;
}

static void marked_sum(const struct bs_flame_node *nodes, size_t n, struct bs_flame_layout *l)
{
	uint32_t i = 0;
	bool skip = false;

	for (size_t k = 1; k < n; k++)
		l->marked += nodes[k].marked;
	while ((i = bs_flame_walk(nodes, i, skip)) != BS_FLAME_NONE) {
		skip = nodes[i].marked;
		if (skip)
			l->marked_value += nodes[i].total;
	}
}

int bs_flame_layout(struct bs_flame *f, double width, double min_width, struct bs_flame_layout *l)
{
	size_t n, room = 0;
	const struct bs_flame_node *nodes = bs_flame_nodes(f, &n);
	/* next[d]: where the next frame of depth d begins. */
	uint64_t *next = NULL;
	double scale;
	uint32_t i = 0;
	size_t deepest = 0;
	int ret = 0;

	memset(l, 0, sizeof(*l));
	if (!nodes)
		return -ENOMEM;
	for (size_t k = 0; k < n; k++)
		if (nodes[k].depth > deepest)
			deepest = nodes[k].depth;
	next = calloc(deepest + 2, sizeof(*next));
	if (!next)
		return -ENOMEM;
	scale = nodes[0].total ? width / (double)nodes[0].total : 0;
	while (!ret && i != BS_FLAME_NONE) {
		const struct bs_flame_node *node = &nodes[i];
		struct bs_flame_box box = {
			.node = i, .depth = node->depth, .start = next[node->depth]};
		bool skip;

		box.x = (double)box.start * scale;
		box.width = (double)node->total * scale;
		next[node->depth] += node->total;
		next[node->depth + 1] = box.start;
		skip = i && (box.width < min_width || !node->total);
		if (skip)
			l->left_out_value += node->total;
		else
			ret = box_add(l, &room, &box);
		i = bs_flame_walk(nodes, i, skip);
	}
	free(next);
	if (ret) {
		bs_flame_layout_fini(l);
		return ret;
	}
	l->left_out = n - l->n;
	marked_sum(nodes, n, l);
	return 0;
}

void bs_flame_layout_fini(struct bs_flame_layout *l)
{
	free(l->boxes);
	memset(l, 0, sizeof(*l));
}
