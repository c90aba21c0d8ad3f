/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * holds.c - the borrows of an object that are in force.
 *
 * Mostly they are one or two.  Of many, as of a configuration that each connection borrows, one is
 * found by an index, which is made when it pays.  Who is to be named of several is the oldest.
 */
#include <stdlib.h>

#include "decode/decode.h"
#include "model/ties.h"

/* So many are looked through. */
#define FEW 16u

/* Where in the array a borrower's is. */
struct bs_hold_at {
	uint64_t by;
	uint32_t i;
	UT_hash_handle hh;
};

static struct bs_hold_at *at_find(const struct bs_tie *tie, uint64_t by)
{
	struct bs_hold_at *at;

	HASH_FIND(hh, tie->index, &by, sizeof(by), at);
	return at;
}

static void index_free(struct bs_tie *tie)
{
	struct bs_hold_at *at, *next;

	HASH_ITER (hh, tie->index, at, next) {
		HASH_DEL(tie->index, at);
		free(at);
	}
}

/* From the i-th on.  Without memory there is no index, and all are looked through. */
static void index_add(struct bs_tie *tie, uint32_t i)
{
	for (; i < tie->nholds; i++) {
		struct bs_hold_at *at = malloc(sizeof(*at));

		if (!at) {
			index_free(tie);
			return;
		}
		at->by = tie->holds[i].by;
		at->i = i;
		HASH_ADD(hh, tie->index, by, sizeof(at->by), at);
	}
}

struct bs_hold *bs_hold_find(const struct bs_tie *tie, uint64_t by)
{
	if (tie->index) {
		const struct bs_hold_at *at = at_find(tie, by);

		return at ? &tie->holds[at->i] : NULL;
	}
	for (uint32_t i = 0; i < tie->nholds; i++)
		if (tie->holds[i].by == by)
			return &tie->holds[i];
	return NULL;
}

struct bs_hold *bs_hold_add(struct bs_tie *tie, uint64_t by)
{
	if (tie->nholds == tie->cap) {
		uint32_t cap = tie->cap ? tie->cap * 2 : 1;
		struct bs_hold *holds = reallocarray(tie->holds, cap, sizeof(*holds));

		if (!holds)
			return NULL;
		tie->holds = holds;
		tie->cap = cap;
	}
	tie->holds[tie->nholds++] = (struct bs_hold){.by = by, .number = tie->made++};
	if (tie->index || tie->nholds > FEW)
		index_add(tie, tie->index ? tie->nholds - 1 : 0);
	return &tie->holds[tie->nholds - 1];
}

void bs_hold_remove(struct bs_tie *tie, struct bs_hold *hold)
{
	const struct bs_hold *last = &tie->holds[tie->nholds - 1];
	struct bs_hold_at *at;

	bs_hold_share(tie, hold);
	if (tie->index) {
		at_find(tie, last->by)->i = (uint32_t)(hold - tie->holds);
		at = at_find(tie, hold->by);
		HASH_DEL(tie->index, at);
		free(at);
	}
	*hold = *last;
	tie->nholds--;
	if (tie->nholds <= FEW / 2)
		index_free(tie);
}

void bs_hold_exclude(struct bs_tie *tie, struct bs_hold *hold, const struct bs_event *ev)
{
	tie->nexclusive += !hold->exclusive;
	hold->exclusive = hold->levels;
	hold->exclusive_tid = ev->tid;
	hold->exclusive_ns = ev->ts_ns;
}

void bs_hold_share(struct bs_tie *tie, struct bs_hold *hold)
{
	tie->nexclusive -= hold->exclusive != 0;
	hold->exclusive = 0;
}

const struct bs_hold *bs_tie_held(const struct bs_tie *tie)
{
	const struct bs_hold *oldest = NULL;

	for (uint32_t i = 0; i < tie->nholds; i++) {
		const struct bs_hold *hold = &tie->holds[i];

		if (!hold->doubt && (!oldest || hold->number < oldest->number))
			oldest = hold;
	}
	return oldest;
}

void bs_holds_fini(struct bs_tie *tie)
{
	index_free(tie);
	free(tie->holds);
}
