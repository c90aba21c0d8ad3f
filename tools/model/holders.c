/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * holders.c - objects that have others: who borrows or owns by its id.
 *
 * A borrower or an owner may be a tracked object itself, if its value is the id of exactly one that
 * is alive at that time.  That there is no other is known of a program that was heard from its
 * start on: else there may be a struct from before, with that object as its first member.  Small
 * numbers are never taken for ids.
 */
#include <errno.h>
#include <stdlib.h>

#include "model/state.h"

#define POINTER_MIN 65536u

uint32_t bs_tracked(const struct bs_model *m, const struct bs_proc *p, const struct bs_event *ev,
		    uint64_t id)
{
	struct bs_event at = *ev;
	uint32_t found = 0;

	if (id < POINTER_MIN || bs_sampling(m))
		return 0;
	at.id = id;
	/* One that is being resized may get it back. */
	for (uint32_t i = 0; i < p->npending; i++)
		if (p->pending[i].obj.id == id)
			return 0;
	for (uint32_t k = 1; k < m->nclasses; k++) {
		const struct bs_obj *obj;

		if (!m->classes[k].has_new)
			continue;
		if (!bs_seen_since(m, &m->classes[k], p->heard_ns))
			return 0;
		/* By clocks that differ, one that was resized a moment ago had it still. */
		at.klass_id = k;
		if (bs_recent_find(&m->resized, &at))
			return 0;
		obj = bs_objects_find(&p->objects, bs_objects_hash(m->seed, k, id), k, id);
		/* Whether that one lives is not known, or by clocks that differ it does still. */
		if (obj && (obj->flags & BS_OBJ_DOUBT ||
			    (obj->flags & BS_OBJ_DEAD &&
			     bs_no_order(ev, (uint32_t)obj->bytes, obj->birth_ns))))
			return 0;
		if (!obj || obj->flags & BS_OBJ_DEAD)
			continue;
		if (found)
			return 0;
		found = k;
	}
	return found;
}

/* Is it true still that the tie is held or owned by that object? */
static bool tied_to(const struct bs_tie *tie, const struct bs_key *holder)
{
	const struct bs_hold *hold;

	if (tie->owned && tie->owner == holder->id && tie->owner_klass == holder->klass)
		return true;
	hold = bs_hold_find(tie, holder->id);
	return hold && hold->holder == holder->klass;
}

static void holder_prune(const struct bs_model *m, struct bs_proc *p, struct bs_holder *h)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < h->n; i++) {
		const struct bs_tie *tie =
			bs_tie_find(m, p, (uint32_t)h->ties[i].klass, h->ties[i].id);

		if (tie && tied_to(tie, &h->key))
			h->ties[kept++] = h->ties[i];
	}
	h->n = kept;
}

static struct bs_holder *holder_find(const struct bs_proc *p, const struct bs_key *key)
{
	struct bs_holder *h;

	HASH_FIND_BYHASHVALUE(hh, p->holders, key, sizeof(*key), bs_key_hash(p, key), h);
	return h;
}

int bs_holder_add(struct bs_model *m, struct bs_proc *p, uint32_t klass, uint64_t id,
		  const struct bs_tie *tie)
{
	struct bs_key key = {.id = id, .klass = klass};
	struct bs_holder *h = holder_find(p, &key);

	if (!h) {
		h = calloc(1, sizeof(*h));
		if (!h)
			return -ENOMEM;
		h->key = key;
		HASH_ADD_BYHASHVALUE(hh, p->holders, key, sizeof(h->key), bs_key_hash(p, &key), h);
	}
	if (h->n == h->cap)
		holder_prune(m, p, h);
	if (h->n > h->cap / 2 || !h->cap) {
		uint32_t cap = h->cap ? h->cap * 2 : 4;
		struct bs_key *ties = reallocarray(h->ties, cap, sizeof(*ties));

		if (!ties)
			return -ENOMEM;
		h->ties = ties;
		h->cap = cap;
	}
	h->ties[h->n++] = tie->key;
	return 0;
}

int bs_holder_says(struct bs_model *m, const struct bs_event *ev, uint32_t klass)
{
	struct bs_event holder = *ev;

	holder.id = ev->arg;
	holder.klass_id = klass;
	return bs_recent_add(&m->holding, &holder, 0);
}

static void holder_free(struct bs_proc *p, struct bs_holder *h)
{
	HASH_DEL(p->holders, h);
	free(h->ties);
	free(h);
}

/* From now on whoever has its id is another; dropped: what it has are orphans.  0 or -ENOMEM. */
static int holder_over(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev,
		       bool dropped)
{
	struct bs_key key = bs_key_of(ev);
	struct bs_holder *h = holder_find(p, &key);
	bool any = false;

	if (!h)
		return 0;
	/* By clocks that differ, another of that id may have begun after the tie. */
	dropped = dropped && bs_tracked(m, p, ev, ev->id) == ev->klass_id;
	for (uint32_t i = 0; i < h->n; i++) {
		struct bs_tie *tie = bs_tie_find(m, p, (uint32_t)h->ties[i].klass, h->ties[i].id);
		struct bs_hold *hold;

		if (!tie)
			continue;
		if (tie->owned && tie->owner == ev->id && tie->owner_klass == ev->klass_id) {
			tie->owner_klass = 0;
			if (dropped && !bs_no_order(ev, tie->moved.tid, tie->moved.ts_ns)) {
				tie->orphaned = bs_evidence_of(m, ev);
				any = true;
			}
		}
		hold = bs_hold_find(tie, ev->id);
		if (!hold || hold->holder != ev->klass_id)
			continue;
		hold->holder = 0;
		if (dropped && !bs_no_order(ev, hold->since.tid, hold->since.ts_ns)) {
			hold->orphaned = bs_evidence_of(m, ev);
			any = true;
		}
	}
	holder_free(p, h);
	return any ? bs_recent_add(&m->orphaning, ev, 0) : 0;
}

int bs_ties_holder_gone(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev)
{
	return p->holders ? holder_over(m, p, ev, true) : 0;
}

/* Is that the drop, of somebody of that id? */
static bool is_drop(const struct bs_evidence *orphaned, const struct bs_moment *drop)
{
	return orphaned->place && orphaned->tid == drop->tid && orphaned->ts_ns == drop->ts_ns;
}

static void orphans_forget(struct bs_model *m, struct bs_proc *p, const struct bs_moment *drop)
{
	uint32_t kept = 0;

	for (struct bs_tie *tie = p->ties; tie; tie = tie->hh.next) {
		if (tie->owner == drop->key.id && is_drop(&tie->orphaned, drop)) {
			tie->orphaned = (struct bs_evidence){0};
			bs_undecided(m);
		}
		for (uint32_t i = 0; i < tie->nholds; i++) {
			struct bs_hold *hold = &tie->holds[i];

			if (hold->by != drop->key.id || !is_drop(&hold->orphaned, drop))
				continue;
			hold->orphaned = (struct bs_evidence){0};
			bs_undecided(m);
		}
	}
	for (uint32_t i = 0; i < m->nsuspects; i++) {
		const struct bs_suspect *s = &m->suspects[i];

		if (s->row.verdict == BS_VERDICT_BORROW_OUTLIVES_OWNER && s->row.pid == drop->pid &&
		    s->by == drop->key.id && s->row.tid == drop->tid && s->row.at_ns == drop->ts_ns)
			bs_undecided(m);
		else
			m->suspects[kept++] = *s;
	}
	m->nsuspects = kept;
}

/* By clocks that differ it may have been the other one of that id that borrowed, or got it. */
static void holder_doubt(const struct bs_model *m, struct bs_proc *p, const struct bs_event *ev,
			 const struct bs_key *key)
{
	const struct bs_holder *h = holder_find(p, key);

	for (uint32_t i = 0; h && i < h->n; i++) {
		struct bs_tie *tie = bs_tie_find(m, p, (uint32_t)h->ties[i].klass, h->ties[i].id);
		struct bs_hold *hold = tie ? bs_hold_find(tie, key->id) : NULL;

		if (hold && hold->holder == key->klass &&
		    bs_no_order(ev, hold->changed_tid, hold->changed_ns))
			hold->holder = 0;
		if (tie && tie->owner == key->id && tie->owner_klass == key->klass &&
		    bs_no_order(ev, tie->moved.tid, tie->moved.ts_ns))
			tie->owner_klass = 0;
	}
}

void bs_ties_joined(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev)
{
	for (uint32_t i = m->holding.begin; i < m->holding.n; i++) {
		const struct bs_moment *at = &m->holding.v[i];

		if (at->pid == ev->pid && at->key.id == ev->id && at->key.klass != ev->klass_id &&
		    bs_no_order(ev, at->tid, at->ts_ns))
			holder_doubt(m, p, ev, &at->key);
	}
	for (uint32_t i = m->orphaning.begin; i < m->orphaning.n; i++) {
		const struct bs_moment *drop = &m->orphaning.v[i];

		if (drop->pid == ev->pid && drop->key.id == ev->id &&
		    drop->key.klass != ev->klass_id && bs_no_order(ev, drop->tid, drop->ts_ns))
			orphans_forget(m, p, drop);
	}
}

void bs_ties_holder_moves(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev)
{
	/* Nothing is dropped, so that nothing can go wrong. */
	if (p->holders)
		(void)holder_over(m, p, ev, false);
}

void bs_holders_fini(struct bs_proc *p)
{
	struct bs_holder *h, *next;

	HASH_ITER (hh, p->holders, h, next)
		holder_free(p, h);
}
