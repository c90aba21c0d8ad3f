// SPDX-License-Identifier: GPL-2.0-only
/*
 * flame.c - the tree of merged stacks.
 *
 * Nodes stand in one growing array in the order of their creation, and a hash table finds the child
 * of a node by its name.  Names are stored once: equal names are equal pointers.  Nothing recurses,
 * because the input chooses the depth.
 */
#define _GNU_SOURCE
#include "flame/flame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* An open hash table of numbers of nodes or names; 0 is a free place, i is stored as i + 1. */
struct table {
	uint32_t *slot;
	size_t cap, used; /* cap is a power of two, or 0 */
};

struct bs_flame {
	struct bs_flame_node *nodes;
	size_t nnodes, room;
	char **names;
	size_t nnames, names_room;
	struct table by_child, by_name;
	uint32_t *last; /* nodes of the stack added last: neighbours share most of theirs */
	size_t nlast, last_room;
	bool sorted, sides; /* sides: two values for each stack */
	uint64_t seed; /* of names' hashes: who chooses names is not to choose where they stand */
};

static uint64_t mix(uint64_t h)
{
	h ^= h >> 32;
	h *= 0x9e3779b97f4a7c15u;
	return h ^ h >> 29;
}

/* FNV-1a, its start unknown to those who choose names. */
static uint64_t name_hash(const struct bs_flame *f, const char *s)
{
	uint64_t h = 0xcbf29ce484222325u ^ f->seed;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3u;
	return mix(h);
}

static uint64_t child_hash(uint32_t parent, const char *name)
{
	return mix((uintptr_t)name + parent * 0xd6e8feb86659fd93u);
}

/* Makes room for one more of what elements of size are; *room counts them. */
static int grow(void *array, size_t *room, size_t used, size_t size)
{
	size_t want = *room ? *room * 2 : 64;
	void *old, *p;

	if (used < *room)
		return 0;
	memcpy(&old, array, sizeof(old));
	p = reallocarray(old, want, size);
	if (!p)
		return -ENOMEM;
	memcpy(array, &p, sizeof(p));
	*room = want;
	/* cppcheck-suppress memleak; the array has it */
	return 0;
}

static uint64_t hash_of(const struct bs_flame *f, const struct table *t, uint32_t i)
{
	return t == &f->by_name ? name_hash(f, f->names[i])
				: child_hash(f->nodes[i].parent, f->nodes[i].name);
}

/* At most two thirds of the places are taken. */
static int table_grow(const struct bs_flame *f, struct table *t)
{
	size_t cap = t->cap ? t->cap * 2 : 64;
	uint32_t *slot;

	if (t->used * 3 < t->cap * 2)
		return 0;
	slot = calloc(cap, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	for (size_t i = 0; i < t->cap; i++) {
		size_t at;

		if (!t->slot[i])
			continue;
		at = hash_of(f, t, t->slot[i] - 1) & (cap - 1);
		while (slot[at])
			at = (at + 1) & (cap - 1);
		slot[at] = t->slot[i];
	}
	free(t->slot);
	t->slot = slot;
	t->cap = cap;
	return 0;
}

struct bs_flame *bs_flame_new(void)
{
	struct bs_flame *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	if (grow(&f->nodes, &f->room, 0, sizeof(*f->nodes))) {
		free(f);
		return NULL;
	}
	/* Without it all is as right, and slower if somebody means ill. */
	if (getrandom(&f->seed, sizeof(f->seed), GRND_NONBLOCK) < 0)
		f->seed = 0;
	f->nodes[0] = (struct bs_flame_node){
		.parent = BS_FLAME_NONE, .first = BS_FLAME_NONE, .next = BS_FLAME_NONE};
	f->nnodes = 1;
	return f;
}

void bs_flame_free(struct bs_flame *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->nnames; i++)
		free(f->names[i]);
	free(f->names);
	free(f->nodes);
	free(f->by_child.slot);
	free(f->by_name.slot);
	free(f->last);
	free(f);
}

/* The number of a name's one copy, from 1; 0 if memory is short. */
static uint32_t name_get(struct bs_flame *f, const char *name)
{
	size_t at;

	if (table_grow(f, &f->by_name) ||
	    grow(&f->names, &f->names_room, f->nnames, sizeof(*f->names)))
		return 0;
	at = name_hash(f, name) & (f->by_name.cap - 1);
	for (; f->by_name.slot[at]; at = (at + 1) & (f->by_name.cap - 1))
		if (!strcmp(f->names[f->by_name.slot[at] - 1], name))
			return f->by_name.slot[at];
	f->names[f->nnames] = strdup(name);
	if (!f->names[f->nnames])
		return 0;
	f->by_name.slot[at] = (uint32_t)++f->nnames;
	f->by_name.used++;
	return f->by_name.slot[at];
}

static int child_get(struct bs_flame *f, uint32_t parent, const char *name, uint32_t *child)
{
	struct table *t = &f->by_child;
	uint32_t id = name_get(f, name);
	size_t at;

	if (!id || table_grow(f, t) || grow(&f->nodes, &f->room, f->nnodes, sizeof(*f->nodes)) ||
	    f->nnodes >= BS_FLAME_NONE - 1)
		return -ENOMEM;
	name = f->names[id - 1];
	at = child_hash(parent, name) & (t->cap - 1);
	for (; t->slot[at]; at = (at + 1) & (t->cap - 1)) {
		*child = t->slot[at] - 1;
		if (f->nodes[*child].parent == parent && f->nodes[*child].name == name)
			return 0;
	}
	*child = (uint32_t)f->nnodes++;
	f->nodes[*child] = (struct bs_flame_node){.name = name,
						  .parent = parent,
						  .first = BS_FLAME_NONE,
						  .next = BS_FLAME_NONE,
						  .depth = f->nodes[parent].depth + 1,
						  .id = id};
	t->slot[at] = *child + 1;
	t->used++;
	return 0;
}

/* The node of a stack, made where there is none. */
static int stack_get(struct bs_flame *f, const struct bs_flame_frame *stack, size_t n, uint32_t *at)
{
	uint32_t node = 0;
	bool same = true;
	int ret;

	if (!n || f->sorted)
		return -EINVAL;
	if (n > BS_FLAME_DEPTH)
		return -E2BIG;
	for (size_t i = 0; i < n; i++) {
		const char *name = *stack[i].name ? stack[i].name : "[empty]";

		same = same && i < f->nlast && !strcmp(f->nodes[f->last[i]].name, name);
		if (same) {
			node = f->last[i];
		} else {
			f->nlast = i;
			ret = child_get(f, node, name, &node);
			if (!ret)
				ret = grow(&f->last, &f->last_room, i, sizeof(*f->last));
			if (ret)
				return ret;
			f->last[i] = node;
			f->nlast = i + 1;
		}
		f->nodes[node].marked |= stack[i].marked;
	}
	*at = node;
	return 0;
}

int bs_flame_add(struct bs_flame *f, const struct bs_flame_frame *stack, size_t n, uint64_t value)
{
	uint32_t node;
	int ret;

	if (f->sides)
		return -EINVAL;
	/* Until all is summed up, the root has the sum of all. */
	if (f->nodes[0].total + value < value)
		return -EOVERFLOW;
	ret = stack_get(f, stack, n, &node);
	if (ret)
		return ret;
	f->nodes[node].self += value;
	f->nodes[0].total += value;
	return 0;
}

int bs_flame_add_sides(struct bs_flame *f, const struct bs_flame_frame *stack, size_t n,
		       uint64_t before, uint64_t after)
{
	const uint64_t value[2] = {before, after};
	uint32_t node;
	int ret;

	if (f->nodes[0].total)
		return -EINVAL;
	for (int i = 0; i < 2; i++)
		if (f->nodes[0].side[i] + value[i] < value[i])
			return -EOVERFLOW;
	ret = stack_get(f, stack, n, &node);
	if (ret)
		return ret;
	f->sides = true;
	for (int i = 0; i < 2; i++) {
		f->nodes[node].side[i] += value[i];
		f->nodes[0].side[i] += value[i]; /* as above */
	}
	return 0;
}

/* From what was added to what widths are made of; before anything is summed up. */
static void sides_weigh(struct bs_flame *f)
{
	const uint64_t sum[2] = {f->nodes[0].side[0], f->nodes[0].side[1]};
	double both = (sum[0] > 0) + (sum[1] > 0);

	f->nodes[0].side[0] = f->nodes[0].side[1] = 0;
	for (size_t i = 1; i < f->nnodes; i++) {
		double part = 0;

		for (int k = 0; k < 2; k++)
			if (sum[k])
				part += (double)f->nodes[i].side[k] / (double)sum[k] / both;
		f->nodes[i].self = (uint64_t)(part * (double)BS_FLAME_PARTS + 0.5);
	}
}

void bs_flame_mark(struct bs_flame *f, bool (*is)(void *ctx, const char *name), void *ctx)
{
	for (size_t i = 1; i < f->nnodes; i++)
		f->nodes[i].marked |= is(ctx, f->nodes[i].name);
}

/* By parent, then from the last name to the first: the order in which lists are built. */
static int compare(const void *a, const void *b, void *nodes)
{
	const struct bs_flame_node *x = (const struct bs_flame_node *)nodes + *(const uint32_t *)a;
	const struct bs_flame_node *y = (const struct bs_flame_node *)nodes + *(const uint32_t *)b;

	if (x->parent != y->parent)
		return x->parent < y->parent ? -1 : 1;
	return strcmp(y->name, x->name);
}

const struct bs_flame_node *bs_flame_nodes(struct bs_flame *f, size_t *n)
{
	uint32_t *order;

	*n = f->nnodes;
	if (f->sorted)
		return f->nodes;
	order = malloc(f->nnodes * sizeof(*order));
	if (!order)
		return NULL;
	for (size_t i = 0; i < f->nnodes; i++)
		order[i] = (uint32_t)i;
	qsort_r(order + 1, f->nnodes - 1, sizeof(*order), compare, f->nodes);
	for (size_t i = 1; i < f->nnodes; i++) {
		struct bs_flame_node *node = &f->nodes[order[i]];

		node->next = f->nodes[node->parent].first;
		f->nodes[node->parent].first = order[i];
	}
	free(order);
	if (f->sides)
		sides_weigh(f);
	f->nodes[0].total = 0;
	for (size_t i = f->nnodes; i-- > 0;) {
		struct bs_flame_node *node = &f->nodes[i];

		node->total += node->self;
		for (int k = 0; i && k < 2; k++)
			f->nodes[node->parent].side[k] += node->side[k];
		if (i)
			f->nodes[node->parent].total += node->total;
	}
	f->sorted = true;
	return f->nodes;
}

struct bs_flame *bs_flame_renamed(const struct bs_flame *f,
				  const char *(*name)(void *ctx, const struct bs_flame_node *node),
				  void *ctx)
{
	struct bs_flame *g = bs_flame_new();
	uint32_t *same = calloc(f->nnodes, sizeof(*same)); /* by node of f: that of g */
	int ret = g && same ? 0 : -ENOMEM;

	for (size_t i = 1; !ret && i < f->nnodes; i++) {
		const struct bs_flame_node *node = &f->nodes[i];
		const char *s = name(ctx, node);

		ret = s ? child_get(g, same[node->parent], s, &same[i]) : -ENOMEM;
		if (ret)
			break;
		g->nodes[same[i]].self += node->self;
		g->nodes[same[i]].marked |= node->marked;
	}
	free(same);
	if (!ret)
		return g;
	bs_flame_free(g);
	return NULL;
}

uint32_t bs_flame_walk(const struct bs_flame_node *nodes, uint32_t i, bool skip)
{
	if (!skip && nodes[i].first != BS_FLAME_NONE)
		return nodes[i].first;
	while (i != BS_FLAME_NONE && nodes[i].next == BS_FLAME_NONE)
		i = nodes[i].parent;
	return i == BS_FLAME_NONE ? i : nodes[i].next;
}
