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

#define PRUNE_MIN    64u
#define THREADS_MAX  65536u /* in regions at a time, of a process */
#define THREADS_IDLE 1024u  /* in none: most come again */
#define DEPTH_MAX    1024u

static void region_remove(struct bs_proc *p, struct bs_region_thread *t, struct bs_region *r)
{
	free(r->births);
	t->n--;
	p->nregions--;
	memmove(r, r + 1, (size_t)(&t->v[t->n] - r) * sizeof(*r));
}

/* NULL if it is in none. */
static struct bs_region_thread *thread_find(const struct bs_proc *p, uint32_t tid)
{
	struct bs_region_thread *t;

	HASH_FIND(hh, p->region_threads, &tid, sizeof(tid), t);
	return t;
}

static void thread_free(struct bs_proc *p, struct bs_region_thread *t)
{
	HASH_DEL(p->region_threads, t);
	p->nregions -= t->n;
	for (uint32_t i = 0; i < t->n; i++)
		free(t->v[i].births);
	free(t->v);
	free(t);
}

/* Those that are in none go, where there are many; and threads that ended in theirs. */
static void threads_prune(struct bs_proc *p)
{
	struct bs_region_thread *t, *next;

	if (HASH_COUNT(p->region_threads) < p->region_threads_max ||
	    HASH_COUNT(p->region_threads) < THREADS_IDLE)
		return;
	HASH_ITER (hh, p->region_threads, t, next)
		if (!t->n)
			thread_free(p, t);
	/* Of these nothing is said any more. */
	while (HASH_COUNT(p->region_threads) >= THREADS_MAX)
		thread_free(p, p->region_threads);
	/* So that each is looked at about once. */
	p->region_threads_max = 2 * HASH_COUNT(p->region_threads);
	if (p->region_threads_max > THREADS_MAX)
		p->region_threads_max = THREADS_MAX;
}

int bs_region_enter(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev)
{
	struct bs_region_thread *t = thread_find(p, ev->tid);

	m->has_regions = true;
	if (!t) {
		threads_prune(p);
		t = calloc(1, sizeof(*t));
		if (!t)
			return -ENOMEM;
		t->tid = ev->tid;
		HASH_ADD(hh, p->region_threads, tid, sizeof(t->tid), t);
	}
	/* Exits that nobody saw: those further out are not known, as if entered before all. */
	if (t->n == DEPTH_MAX)
		region_remove(p, t, t->v);
	if (t->n == t->cap) {
		uint32_t cap = t->cap ? t->cap * 2 : 4;
		struct bs_region *regions = reallocarray(t->v, cap, sizeof(*regions));

		if (!regions)
			return -ENOMEM;
		t->v = regions;
		t->cap = cap;
	}
	t->v[t->n++] = (struct bs_region){
		.key = {.id = ev->id, .klass = ev->klass_id},
		.entered_ns = ev->ts_ns,
		.prune_at = PRUNE_MIN,
	};
	p->nregions++;
	return 0;
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

/*
 * Births at that id, when another one comes to it or leaves it: of the last moment, which each
 * region has in their order; or all.
 */
static void births_doubt(struct bs_region_thread *t, const struct bs_event *ev, bool all)
{
	for (uint32_t i = 0; i < t->n; i++) {
		struct bs_region *r = &t->v[i];

		for (uint32_t k = r->n; k-- > 0;) {
			struct bs_birth *b = &r->births[k];

			if (!all && ev->ts_ns > b->at.ts_ns + BS_MODEL_SKEW_NS)
				break;
			if (b->key.id == ev->id && b->key.klass == ev->klass_id &&
			    (all || bs_no_order(ev, b->at.tid, b->at.ts_ns)))
				b->at.place = 0;
		}
	}
}

int bs_region_life(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev)
{
	bool any = p->nregions && bs_recent_find(&m->lives, ev);
	struct bs_region_thread *t;

	/* It may be another one that leaves. */
	if (any && ev->kind == BSCOPE_KIND_RESIZE_BEGIN) {
		for (t = p->region_threads; t; t = t->hh.next)
			births_doubt(t, ev, true);
		any = false;
	}
	for (uint32_t i = m->lives.begin; any && i < m->lives.n; i++) {
		const struct bs_moment *at = &m->lives.v[i];

		if (at->key.id != ev->id || at->key.klass != ev->klass_id || at->pid != ev->pid ||
		    !bs_no_order(ev, at->tid, at->ts_ns))
			continue;
		t = thread_find(p, at->tid);
		if (t)
			births_doubt(t, ev, false);
	}
	return bs_recent_add(&m->lives, ev, 0);
}

int bs_region_birth(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev)
{
	const struct bs_region_thread *t = thread_find(p, ev->tid);
	struct bs_region *r;

	if (!t || !t->n)
		return 0;
	/* The innermost. */
	r = &t->v[t->n - 1];
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

static int births_rename(struct bs_model *m, struct bs_region *r, const struct bs_event *ev,
			 uint64_t from, uint64_t birth_ns, bool close)
{
	for (uint32_t k = births_from(r, birth_ns); k < r->n && r->births[k].at.ts_ns == birth_ns;
	     k++) {
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
		/* It is a life at this id now, too, by whomever it was given that. */
		if (ev->ts_ns <= birth_ns + BS_MODEL_SKEW_NS) {
			struct bs_event life = *ev;

			life.tid = b->at.tid;
			life.ts_ns = birth_ns;
			if (bs_recent_add(&m->lives, &life, 0))
				return -ENOMEM;
		}
	}
	return 0;
}

int bs_region_rename(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev,
		     uint64_t from, uint64_t birth_ns)
{
	bool close = bs_recent_find(&m->lives, ev);
	int err = 0;

	/* It is where it was, and nobody else came. */
	if (from == ev->id && !close)
		return 0;
	for (struct bs_region_thread *t = p->region_threads; t && !err; t = t->hh.next)
		for (uint32_t i = 0; i < t->n && !err; i++)
			err = births_rename(m, &t->v[i], ev, from, birth_ns, close);
	return err;
}

/* The thread's innermost region of that name; NULL if there is none. */
static struct bs_region *region_find(const struct bs_region_thread *t, const struct bs_event *ev)
{
	for (uint32_t i = t->n; i-- > 0;)
		if (t->v[i].key.id == ev->id && t->v[i].key.klass == ev->klass_id)
			return &t->v[i];
	return NULL;
}

int bs_region_exit(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev)
{
	struct bs_region_thread *t = thread_find(p, ev->tid);
	struct bs_region *r = t ? region_find(t, ev) : NULL;
	int err = 0;

	if (!r) {
		/* Perhaps one around these, entered unseen. */
		for (uint32_t i = 0; t && i < t->n; i++)
			t->v[i].entered_ns = 0;
		return 0;
	}
	/* Regions further in whose exit was not seen: nobody knows what became of them. */
	while (&t->v[t->n - 1] != r)
		region_remove(p, t, &t->v[t->n - 1]);
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
	region_remove(p, t, r);
	return err;
}

void bs_regions_fini(struct bs_proc *p)
{
	while (p->region_threads)
		thread_free(p, p->region_threads);
}
