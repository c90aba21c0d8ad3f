// SPDX-License-Identifier: GPL-2.0-only
/* profile.c - a tree of frames: each node is a stack, with the samples that ended there. */
#include "overhead/profile.h"

#include <errno.h>
#include <stdlib.h>

#include "symbol/index.h"

struct node {
	uint64_t frame;
	uint64_t count[BS_PROFILE_PHASES];
	uint32_t parent, depth; /* of the root 0 */
};

struct bs_profile {
	struct node *nodes; /* 0: the root; parents come before their children */
	size_t n, room;
	struct bs_index by_frame; /* (parent, frame) -> node */
	uint64_t samples[BS_PROFILE_PHASES], marked[BS_PROFILE_PHASES];
	uint64_t cut;
	uint32_t deepest;
};

struct bs_profile *bs_profile_new(void)
{
	struct bs_profile *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->room = 256;
	p->nodes = calloc(p->room, sizeof(*p->nodes));
	if (!p->nodes) {
		free(p);
		return NULL;
	}
	p->n = 1;
	return p;
}

void bs_profile_free(struct bs_profile *p)
{
	if (!p)
		return;
	bs_index_fini(&p->by_frame);
	free(p->nodes);
	free(p);
}

/* The child, made where there is none; 0: there is no room.  0 or -ENOMEM. */
static int child_get(struct bs_profile *p, uint32_t parent, uint64_t frame, uint32_t *child)
{
	*child = bs_index_find(&p->by_frame, parent, frame);
	if (*child || p->n == BS_PROFILE_NODES)
		return 0;
	if (p->n == p->room) {
		struct node *grown = reallocarray(p->nodes, p->room * 2, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		p->nodes = grown;
		p->room *= 2;
	}
	if (bs_index_set(&p->by_frame, parent, frame, (uint32_t)p->n))
		return -ENOMEM;
	*child = (uint32_t)p->n++;
	p->nodes[*child] = (struct node){
		.frame = frame, .parent = parent, .depth = p->nodes[parent].depth + 1};
	if (p->nodes[*child].depth > p->deepest)
		p->deepest = p->nodes[*child].depth;
	return 0;
}

int bs_profile_add(struct bs_profile *p, const uint64_t *frames, size_t n, unsigned phase,
		   bool marked)
{
	uint32_t at = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t child;
		int ret = child_get(p, at, frames[i], &child);

		if (ret)
			return ret;
		if (!child) {
			p->cut++;
			break;
		}
		at = child;
	}
	p->nodes[at].count[phase]++;
	p->samples[phase]++;
	p->marked[phase] += marked;
	return 0;
}

uint64_t bs_profile_samples(const struct bs_profile *p, unsigned phase)
{
	return p->samples[phase];
}

uint64_t bs_profile_marked(const struct bs_profile *p, unsigned phase)
{
	return p->marked[phase];
}

uint64_t bs_profile_cut(const struct bs_profile *p)
{
	return p->cut;
}

int bs_profile_each(const struct bs_profile *p, bs_profile_stack_fn fn, void *ctx)
{
	uint64_t *frames = calloc(p->deepest + 1u, sizeof(*frames));
	int ret = 0;

	if (!frames)
		return -ENOMEM;
	for (size_t i = 1; i < p->n && !ret; i++) {
		const struct node *node = &p->nodes[i];
		bool any = false;

		for (size_t k = 0; k < BS_PROFILE_PHASES; k++)
			any |= node->count[k] != 0;
		if (!any)
			continue;
		for (uint32_t at = (uint32_t)i; at; at = p->nodes[at].parent)
			frames[p->nodes[at].depth - 1] = p->nodes[at].frame;
		ret = fn(ctx, frames, node->depth, node->count);
	}
	free(frames);
	return ret;
}
