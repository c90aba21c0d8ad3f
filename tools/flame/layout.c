// SPDX-License-Identifier: GPL-2.0-only
/*
 * layout.c - where the frames of a flamegraph stand.
 *
 * No frame is wider than what it stands on, so a width or a value cuts off whole subtrees.
 */
#include "flame/layout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "flame/flame.h"

struct work {
	const struct bs_flame_node *nodes;
	size_t n;
	const struct bs_flame_room *room;
	double scale;	/* pixels for a value of 1 */
	uint64_t least; /* of a narrow frame that is laid out all the same */
	size_t boxes_room;
};

static int box_add(struct work *w, struct bs_flame_layout *l, const struct bs_flame_box *box)
{
	if (l->n == w->boxes_room) {
		size_t want = w->boxes_room ? w->boxes_room * 2 : 64;
		void *p = reallocarray(l->boxes, want, sizeof(*l->boxes));

		if (!p)
			return -ENOMEM;
		l->boxes = p;
		w->boxes_room = want;
	}
	l->boxes[l->n++] = *box;
	if (box->narrow)
		l->narrow++;
	else if (box->depth > l->deepest)
		l->deepest = box->depth;
	return 0;
}

static bool is_drawn(const struct work *w, uint32_t i)
{
	const struct bs_flame_node *node = &w->nodes[i];

	return !i || (node->total && node->depth <= w->room->rows &&
		      (double)node->total * w->scale >= w->room->min_width);
}

/* What the script may draw. */
static bool is_narrow(const struct work *w, uint32_t i)
{
	return w->nodes[i].total && w->nodes[i].depth <= w->room->rows && !is_drawn(w, i);
}

static int falling(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? 1 : *x > *y ? -1 : 0;
}

/* Sets w->least so that no more narrow frames are laid out than there is room for. */
static int least_find(struct work *w)
{
	uint64_t *totals = malloc(w->n * sizeof(*totals));
	size_t n = 0;

	if (!totals)
		return -ENOMEM;
	for (size_t i = 0; i < w->n; i++)
		if (is_narrow(w, (uint32_t)i))
			totals[n++] = w->nodes[i].total;
	w->least = 1;
	if (n > w->room->narrow) {
		qsort(totals, n, sizeof(*totals), falling);
		w->least = totals[w->room->narrow] + 1;
	}
	free(totals);
	return 0;
}

static int boxes_add(struct work *w, struct bs_flame_layout *l)
{
	/* next[d]: where the next frame of depth d begins. */
	uint64_t *next;
	uint32_t deepest = 0;
	int ret = 0;

	for (size_t i = 0; i < w->n; i++)
		if (w->nodes[i].depth > deepest)
			deepest = w->nodes[i].depth;
	next = calloc((size_t)deepest + 2, sizeof(*next));
	if (!next)
		return -ENOMEM;
	for (uint32_t i = 0; !ret && i != BS_FLAME_NONE; i = bs_flame_walk(w->nodes, i, false)) {
		const struct bs_flame_node *node = &w->nodes[i];
		bool drawn = is_drawn(w, i), narrow = is_narrow(w, i);
		struct bs_flame_box box = {.node = i,
					   .depth = node->depth,
					   .start = next[node->depth],
					   .x = (double)next[node->depth] * w->scale,
					   .width = (double)node->total * w->scale,
					   .narrow = !drawn};

		next[node->depth + 1] = box.start;
		next[node->depth] += node->total;
		l->too_deep += node->depth > w->room->rows;
		if (!drawn && is_drawn(w, node->parent))
			l->left_out_value += node->total;
		if (drawn || (narrow && node->total >= w->least)) {
			ret = box_add(w, l, &box);
		} else if (node->total) {
			l->missing++;
			if (node->total > l->missing_most)
				l->missing_most = node->total;
		}
	}
	free(next);
	return ret;
}

static void marked_sum(const struct work *w, struct bs_flame_layout *l)
{
	uint32_t i = 0;
	bool skip = false;

	for (size_t k = 1; k < w->n; k++)
		l->marked += w->nodes[k].marked;
	while ((i = bs_flame_walk(w->nodes, i, skip)) != BS_FLAME_NONE) {
		skip = w->nodes[i].marked;
		if (skip)
			l->marked_value += w->nodes[i].total;
	}
}

int bs_flame_layout(struct bs_flame *f, const struct bs_flame_room *room, struct bs_flame_layout *l)
{
	struct work w = {.room = room};
	int ret;

	memset(l, 0, sizeof(*l));
	w.nodes = bs_flame_nodes(f, &w.n);
	if (!w.nodes)
		return -ENOMEM;
	w.scale = w.nodes[0].total ? room->width / (double)w.nodes[0].total : 0;
	ret = least_find(&w);
	if (!ret)
		ret = boxes_add(&w, l);
	if (ret) {
		bs_flame_layout_fini(l);
		return ret;
	}
	l->left_out = w.n - (l->n - l->narrow);
	marked_sum(&w, l);
	return 0;
}

void bs_flame_layout_fini(struct bs_flame_layout *l)
{
	free(l->boxes);
	memset(l, 0, sizeof(*l));
}
