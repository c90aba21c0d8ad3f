/* SPDX-License-Identifier: GPL-2.0-only */
/* flame.h - stacks with a value, merged into one tree: what a flamegraph draws. */
#ifndef BS_FLAME_FLAME_H
#define BS_FLAME_FLAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct bs_error;
struct bs_flame;

/* The frames that a stack may have. */
#define BS_FLAME_DEPTH 1000000u
/* No node. */
#define BS_FLAME_NONE UINT32_MAX

/* One frame of a stack that is added; any bytes but NUL. */
struct bs_flame_frame {
	const char *name;
	bool marked; /* drawn in the second palette: what tracking costs */
};

/* A node of the tree, which is an array: node 0 is the root, parents come before their children. */
struct bs_flame_node {
	const char *name; /* of the root NULL; equal names are the same pointer */
	uint64_t self, total;
	uint32_t parent, first, next; /* children by name in byte order; BS_FLAME_NONE: none */
	uint32_t depth;		      /* of the root 0 */
	uint32_t id;		      /* of the name: equal names, equal numbers; of the root 0 */
	bool marked;
	uint64_t side[2]; /* after bs_flame_add_sides: what was added to it and above it, by side */
};

/* An empty tree; NULL if memory is short. */
struct bs_flame *bs_flame_new(void);
void bs_flame_free(struct bs_flame *f);

/*
 * Adds value (samples, bytes, whatever all stacks count) to the stack of n frames, the root first.
 * Names are copied, once each; an empty one becomes "[empty]".  A frame is marked if it is in one
 * of the stacks that share it.  On error the tree is as it was, but for nodes without a value:
 *   -EINVAL no frames, -E2BIG more than BS_FLAME_DEPTH, -EOVERFLOW the sum of all values is past
 *   64 bits, -ENOMEM.
 * Not to be called after bs_flame_nodes.
 */
int bs_flame_add(struct bs_flame *f, const struct bs_flame_frame *stack, size_t n, uint64_t value);

/*
 * The same for the comparison of two sides: so much before, and after.  Of a tree to which anything
 * was added like this, self and total are the mean of the parts that the sides have of their sums,
 * in BS_FLAME_PARTS: a frame of either side has a width.  -EINVAL if something was added otherwise.
 */
#define BS_FLAME_PARTS 1000000000ull
int bs_flame_add_sides(struct bs_flame *f, const struct bs_flame_frame *stack, size_t n,
		       uint64_t before, uint64_t after);

/* Marks each frame whose name is(ctx, name) says yes to; it is asked once for each node. */
void bs_flame_mark(struct bs_flame *f, bool (*is)(void *ctx, const char *name), void *ctx);

/*
 * Sorts, sums up, and returns the tree: *n nodes, at least 1.  Borrowed: valid until the tree is
 * freed.  NULL if memory is short.
 */
const struct bs_flame_node *bs_flame_nodes(struct bs_flame *f, size_t *n);

/* The node after i, children before siblings, without the children of i if skip. */
uint32_t bs_flame_walk(const struct bs_flame_node *nodes, uint32_t i, bool skip);

/*
 * A copy of which the name of each node is what name(ctx, node) makes of it, which is copied;
 * stacks that become equal are merged.  NULL if memory is short, or if name returned NULL.
 */
struct bs_flame *bs_flame_renamed(const struct bs_flame *f,
				  const char *(*name)(void *ctx, const struct bs_flame_node *node),
				  void *ctx);

/*
 * Writes one line for each stack with a value of its own: frames by `;`, a space, the value;
 * sorted, so that equal trees make equal bytes, and what is read of them makes them again.  What
 * would break the format (`;`, control characters, what is not UTF-8, a `#` that begins the line)
 * becomes \xNN, what hides or turns others round \u{NNNN}.  Returns 0, -ENOMEM or -errno of the
 * stream, which is not flushed.
 */
int bs_flame_write_folded(struct bs_flame *f, FILE *out);

#endif
