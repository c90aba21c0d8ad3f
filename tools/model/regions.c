/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * regions.c - what a thread makes between entering and leaving a region belongs to it; unless it
 * was moved to somebody else, or is counted: then others may keep it.
 *
 * An open region remembers what was made in it, and now and then forgets what is gone: so it takes
 * memory for what is alive, not for all that ever was.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bscope/abi.h"
#include "model/state.h"

#define PRUNE_MIN 64u

int bs_region_enter(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev)
{
	m->has_regions = true;
	if (p->nregions == p->regions_cap) {
		uint32_t cap = p->regions_cap ? p->regions_cap * 2 : 4;
		struct bs_region *regions = reallocarray(p->regions, cap, sizeof(*regions));

		if (!regions)
			return -ENOMEM;
		p->regions = regions;
		p->regions_cap = cap;
	}
	p->regions[p->nregions++] = (struct bs_region){
		.key = {.id = ev->id, .klass = ev->klass_id},
		.tid = ev->tid,
		.entered_ns = ev->ts_ns,
		.prune_at = PRUNE_MIN,
	};
	return 0;
}

/* The thread's innermost region, or its innermost of that name; NULL if there is none. */
static struct bs_region *region_find(const struct bs_proc *p, const struct bs_event *ev, bool named)
{
	for (uint32_t i = p->nregions; i-- > 0;) {
		struct bs_region *r = &p->regions[i];

		if (r->tid == ev->tid &&
		    (!named || (r->key.id == ev->id && r->key.klass == ev->klass_id)))
			return r;
	}
	return NULL;
}

static struct bs_obj *birth_find(const struct bs_model *m, const struct bs_proc *p,
				 const struct bs_birth *b)
{
	uint32_t klass = (uint32_t)b->key.klass;
	struct bs_obj *obj = bs_objects_find(
		&p->objects, bs_objects_hash(m->seed, klass, b->key.id), klass, b->key.id);

	return obj && !(obj->flags & (BS_OBJ_DEAD | BS_OBJ_ADOPTED)) && obj->birth_ns == b->at.ts_ns
		       ? obj
		       : NULL;
}

static void prune(const struct bs_model *m, const struct bs_proc *p, struct bs_region *r)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < r->n; i++)
		if (birth_find(m, p, &r->births[i]))
			r->births[kept++] = r->births[i];
	r->n = kept;
	r->prune_at = 2 * kept > PRUNE_MIN ? 2 * kept : PRUNE_MIN;
}

int bs_region_life(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev)
{
	/* Each birth is one of those lives, so that mostly there is none to look for. */
	bool any = bs_recent_find(&m->lives, ev);
	/* It may be another one that leaves. */
	bool all = any && ev->kind == BSCOPE_KIND_RESIZE_BEGIN;

	for (uint32_t i = 0; any && i < p->nregions; i++) {
		struct bs_region *r = &p->regions[i];

		/* Else those of the last moment: each region has its own in their order. */
		for (uint32_t k = r->n; k-- > 0;) {
			struct bs_birth *b = &r->births[k];

			if (!all && ev->ts_ns > b->at.ts_ns + BS_MODEL_SKEW_NS)
				break;
			if (b->key.id == ev->id && b->key.klass == ev->klass_id &&
			    (all || bs_no_order(ev, b->at.tid, b->at.ts_ns)))
				b->at.place = 0;
		}
	}
	return bs_recent_add(&m->lives, ev, 0);
}

int bs_region_birth(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev)
{
	struct bs_region *r = p->nregions ? region_find(p, ev, false) : NULL;

	if (!r)
		return 0;
	if (r->n >= r->prune_at)
		prune(m, p, r);
	if (r->n == r->cap) {
		uint32_t cap = r->cap ? r->cap * 2 : 8;
		struct bs_birth *births = reallocarray(r->births, cap, sizeof(*births));

		if (!births)
			return -ENOMEM;
		r->births = births;
		r->cap = cap;
	}
	r->births[r->n++] = (struct bs_birth){
		.key = {.id = ev->id, .klass = ev->klass_id},
		.at = bs_evidence_of(m, ev),
	};
	if (bs_recent_find(&m->lives, ev))
		r->births[r->n - 1].at.place = 0;
	return 0;
}

/* The first birth of that time or later: they are in order, but for what comes late. */
static uint32_t births_from(const struct bs_region *r, uint64_t ts_ns)
{
	uint32_t from = 0, to = r->n;

	while (from < to) {
		uint32_t mid = from + (to - from) / 2;

		if (r->births[mid].at.ts_ns < ts_ns)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

void bs_region_rename(const struct bs_model *m, struct bs_proc *p, const struct bs_event *ev,
		      uint64_t from, uint64_t birth_ns)
{
	bool close = bs_recent_find(&m->lives, ev);

	for (uint32_t i = 0; i < p->nregions; i++) {
		struct bs_region *r = &p->regions[i];

		for (uint32_t k = births_from(r, birth_ns);
		     k < r->n && r->births[k].at.ts_ns == birth_ns; k++) {
			struct bs_birth *b = &r->births[k];

			if (b->key.klass != ev->klass_id)
				continue;
			/* Of the same stamp, and gone: it is not the one that is there now. */
			if (b->key.id == ev->id && from != ev->id)
				b->at.place = 0;
			if (b->key.id != from)
				continue;
			b->key.id = ev->id;
			if (close)
				b->at.place = 0;
		}
	}
}

static void region_remove(struct bs_proc *p, struct bs_region *r)
{
	free(r->births);
	p->nregions--;
	memmove(r, r + 1, (size_t)(&p->regions[p->nregions] - r) * sizeof(*r));
}

int bs_region_exit(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev)
{
	struct bs_region *r = region_find(p, ev, true);
	int err = 0;

	if (!r) {
		/* Perhaps one around these, entered unseen. */
		for (uint32_t i = 0; i < p->nregions; i++)
			if (p->regions[i].tid == ev->tid)
				p->regions[i].entered_ns = 0;
		return 0;
	}
	/* Regions further in whose exit was not seen: nobody knows what became of them. */
	for (struct bs_region *in; (in = region_find(p, ev, false)) != r;) {
		region_remove(p, in);
		r = region_find(p, ev, true);
	}
	for (uint32_t i = 0; i < r->n && !err; i++) {
		const struct bs_birth *b = &r->births[i];
		struct bs_obj *obj = birth_find(m, p, b);

		if (!obj ||
		    obj->flags & (BS_OBJ_MOVED | BS_OBJ_COUNTED | BS_OBJ_UNSURE | BS_OBJ_DOUBT))
			continue;
		/* By clocks that differ, it may be another one that lives. */
		if (!b->at.place) {
			bs_undecided(m);
			continue;
		}
		/* Since then, or it may have been made in a region further in. */
		err = bs_suspect(m, BS_VERDICT_LEAK, ev, b->key, b->at, r->entered_ns, 0, 0);
		/* Once: by equal stamps (coarse) one that was there before looks like this. */
		obj->flags |= BS_OBJ_MOVED;
	}
	region_remove(p, r);
	return err;
}

void bs_regions_fini(struct bs_proc *p)
{
	for (uint32_t i = 0; i < p->nregions; i++)
		free(p->regions[i].births);
	free(p->regions);
	p->regions = NULL;
	p->nregions = p->regions_cap = 0;
}
