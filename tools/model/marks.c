/* SPDX-License-Identifier: GPL-2.0-only */
/* marks.c - marks that neither begin nor end a life: counts, moves, borrows, uses. */
#include "model/state.h"

#include <errno.h>
#include <stdlib.h>

#include "bscope/abi.h"

/*
 * What the thread that made it says after that is said of it for certain; unless others have made
 * one of that id at the same time.
 */
static bool is_maker(const struct bs_model *m, const struct bs_obj *obj, const struct bs_event *ev)
{
	bool made = false;

	for (uint32_t i = m->fresh.n; i-- > m->fresh.begin;) {
		const struct bs_moment *at = &m->fresh.v[i];

		if (at->key.id != ev->id || at->key.klass != ev->klass_id || at->pid != ev->pid)
			continue;
		if (bs_no_order(ev, at->tid, at->ts_ns))
			return false;
		made |= at->tid == ev->tid && at->ts_ns == obj->birth_ns;
	}
	return made;
}

/* The one that had the id before may be meant; which nobody may have seen. */
static bool may_be_another(const struct bs_model *m, const struct bs_obj *obj,
			   const struct bs_event *ev)
{
	if (!bs_fresh_at_its_id(obj, ev))
		return false;
	if (bs_recent_find(&m->firsts, ev) ||
	    (obj->resized && (bs_recent_find(&m->fresh, ev) || bs_recent_find(&m->twins, ev))))
		return true;
	if ((obj->flags & (BS_OBJ_FRESH | BS_OBJ_TWIN | BS_OBJ_DOUBT)) == BS_OBJ_FRESH &&
	    is_maker(m, obj, ev))
		return false;
	return obj->flags & (BS_OBJ_FRESH | BS_OBJ_TWIN | BS_OBJ_DOUBT) &&
	       ev->ts_ns - obj->birth_ns <= BS_MODEL_SKEW_NS;
}

/* A count that another object's marks may have got into, or that does not fit, is worth nothing. */
static void count_change(const struct bs_model *m, struct bs_obj *obj, const struct bs_event *ev,
			 int change)
{
	if (may_be_another(m, obj, ev))
		obj->flags |= BS_OBJ_UNSURE;
	obj->flags |= BS_OBJ_COUNTED;
	if (obj->refs + change > BS_OBJ_MAX_REFS || obj->refs + change < -BS_OBJ_MAX_REFS)
		obj->flags |= BS_OBJ_UNSURE;
	else
		obj->refs += change;
}

/* Borrows, moves and uses, of what is known or not. */
static int tie_mark(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev,
		    struct bs_obj *obj)
{
	switch (ev->kind) {
	case BSCOPE_KIND_MOVE:
		if (obj)
			obj->flags |= BS_OBJ_MOVED;
		return bs_tie_move(m, p, ev,
				   (!obj || !may_be_another(m, obj, ev)) &&
					   !bs_recent_find(&m->marks, ev));
	case BSCOPE_KIND_BORROW:
	case BSCOPE_KIND_BORROW_MUT:
		/* Of what was resized to this id, the borrows of before go on. */
		return bs_tie_borrow(m, p, ev, ev->kind == BSCOPE_KIND_BORROW_MUT,
				     !obj || !(obj->resized || obj->flags & BS_OBJ_ADOPTED) ||
					     !may_be_another(m, obj, ev));
	case BSCOPE_KIND_USE:
		if (!obj || !may_be_another(m, obj, ev))
			return bs_tie_use(m, p, ev, obj);
		bs_undecided(m);
		return 0;
	default:
		return 0;
	}
}

/* An object that had the id of a mark a moment ago, before its resize; all NULL: there is none. */
struct resized {
	struct bs_obj *obj; /* NULL as well where it is not known */
	struct bs_tie *tie;
	bool found;
};

static struct resized resized_find(const struct bs_model *m, struct bs_proc *p,
				   const struct bs_event *ev)
{
	const struct bs_moment *to = bs_recent_find(&m->resized, ev);
	struct bs_pending *e = bs_pending_of(p, ev);

	if (to)
		return (struct resized){
			.obj = bs_objects_find(&p->objects,
					       bs_objects_hash(m->seed, ev->klass_id, to->to),
					       ev->klass_id, to->to),
			.tie = bs_tie_find(m, p, ev->klass_id, to->to),
			.found = true,
		};
	if (e && bs_no_order(ev, e->tid, e->begin_ns))
		return (struct resized){
			.obj = &e->obj,
			.tie = e->replaced ? e->tie : bs_tie_find(m, p, ev->klass_id, ev->id),
			.found = true,
		};
	return (struct resized){0};
}

/* Said of that one, or of another: what is known of it from here on proves less. */
static void doubt(struct bs_obj *obj, struct bs_tie *tie, const struct bs_event *ev)
{
	switch (ev->kind) {
	case BSCOPE_KIND_UNBORROW:
		if (tie)
			bs_hold_doubt(tie, ev);
		break;
	case BSCOPE_KIND_MOVE:
		if (obj)
			obj->flags |= BS_OBJ_MOVED;
		if (tie)
			bs_tie_disown(tie);
		break;
	/* Who borrowed it may use it. */
	case BSCOPE_KIND_BORROW:
	case BSCOPE_KIND_BORROW_MUT:
	case BSCOPE_KIND_RETAIN:
	case BSCOPE_KIND_RELEASE:
		if (obj)
			obj->flags |= BS_OBJ_UNSURE;
		break;
	default:
		break;
	}
}

#define NAMES_MAX 16u

static bool named(const uint64_t *names, uint32_t n, uint64_t id)
{
	for (uint32_t i = 0; i < n; i++)
		if (names[i] == id)
			return true;
	return false;
}

/*
 * A mark of what was resized a moment ago.  There may have been several of that id, or it has been
 * resized again since: by whatever name one of them goes by now, it may be meant.  r: the one that
 * the caller looks after.
 */
static void doubt_others(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev,
			 const struct resized *r)
{
	uint64_t names[NAMES_MAX] = {ev->id};
	struct bs_event at = *ev;
	uint32_t n = 1;

	for (uint32_t i = m->resized.begin; i < m->resized.n && n < NAMES_MAX; i++) {
		const struct bs_moment *to = &m->resized.v[i];

		if (to->pid == ev->pid && to->key.klass == ev->klass_id &&
		    bs_no_order(ev, to->tid, to->ts_ns) && named(names, n, to->key.id) &&
		    !named(names, n, to->to))
			names[n++] = to->to;
	}
	for (uint32_t i = 1; i < n; i++) {
		struct bs_obj *obj = bs_objects_find(
			&p->objects, bs_objects_hash(m->seed, ev->klass_id, names[i]), ev->klass_id,
			names[i]);

		/* What looks wrong under its new name, this explains. */
		at.id = names[i];
		bs_suspects_explain(m, &at);
		if (!r->obj || obj != r->obj)
			doubt(obj, bs_tie_find(m, p, ev->klass_id, names[i]), ev);
	}
	for (uint32_t i = 0; i < p->npending; i++) {
		struct bs_pending *e = &p->pending[i];

		if (&e->obj != r->obj && e->obj.klass == ev->klass_id &&
		    named(names, n, e->obj.id) && bs_no_order(ev, e->tid, e->begin_ns))
			doubt(&e->obj,
			      e->replaced ? e->tie : bs_tie_find(m, p, ev->klass_id, e->obj.id),
			      ev);
	}
}

/* A mark that either that one may mean, or the one that has the id now, or that will have it. */
static int either_mark(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev,
		       struct bs_obj *obj, const struct resized *r)
{
	const struct bs_tie *tie = bs_tie_find(m, p, ev->klass_id, ev->id);
	int ret;

	doubt_others(m, p, ev, r);
	switch (ev->kind) {
	case BSCOPE_KIND_UNBORROW:
		ret = bs_tie_unborrow(m, p, ev);
		if (ret > 0 && r->tie && r->tie != tie)
			bs_hold_doubt(r->tie, ev);
		else if (!ret && r->tie)
			ret = bs_hold_end(m, p, r->tie, ev);
		return ret < 0 ? ret : 0;
	case BSCOPE_KIND_BORROW:
	case BSCOPE_KIND_BORROW_MUT:
		if (r->obj)
			r->obj->flags |= BS_OBJ_UNSURE;
		/* If it is the other's, its end comes under another name. */
		if (obj)
			return bs_tie_borrow(m, p, ev, ev->kind == BSCOPE_KIND_BORROW_MUT, false);
		break;
	case BSCOPE_KIND_MOVE:
		if (obj)
			obj->flags |= BS_OBJ_MOVED;
		if (r->obj)
			r->obj->flags |= BS_OBJ_MOVED;
		if (r->tie)
			bs_tie_disown(r->tie);
		bs_undecided(m);
		return obj ? bs_tie_move(m, p, ev, false) : 0;
	case BSCOPE_KIND_RETAIN:
	case BSCOPE_KIND_RELEASE:
		if (obj)
			obj->flags |= BS_OBJ_UNSURE;
		if (r->obj)
			r->obj->flags |= BS_OBJ_UNSURE;
		break;
	default:
		break;
	}
	bs_undecided(m);
	return 0;
}

/* Of an object whose begin may be still to come: and a borrow, too, that this is the end of. */
static int not_yet(struct bs_model *m, const struct bs_event *ev)
{
	if (ev->kind == BSCOPE_KIND_UNBORROW)
		bs_borrow_ended(m, ev);
	return 0;
}

int bs_object_mark(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev, uint64_t hash)
{
	bool counts = ev->kind == BSCOPE_KIND_RETAIN || ev->kind == BSCOPE_KIND_RELEASE;
	bool borrows = ev->kind == BSCOPE_KIND_BORROW || ev->kind == BSCOPE_KIND_BORROW_MUT;
	struct bs_obj *obj = bs_objects_find(&p->objects, hash, ev->klass_id, ev->id);
	bool alive = obj && !(obj->flags & BS_OBJ_DEAD);
	/* Those with static initialisers begin without a mark. */
	bool adopted = m->classes[ev->klass_id].locks && !counts;
	const struct bs_pending *e;
	struct resized r;

	/* Its new may be still to come, by a thread whose clock is a little ahead. */
	if ((counts || ev->kind == BSCOPE_KIND_MOVE || (borrows && !alive && !adopted)) &&
	    bs_recent_add(&m->marks, ev, 0))
		return -ENOMEM;
	if (!obj && bs_unfollowed(m, p))
		return not_yet(m, ev);
	r = resized_find(m, p, ev);
	if (r.found)
		return either_mark(m, p, ev, alive ? obj : NULL, &r);
	e = alive ? NULL : bs_pending_of(p, ev);
	/* That may have ended, or this be another one, and nobody has seen it. */
	if (e && !bs_seen_since(m, &m->classes[ev->klass_id], e->begin_ns))
		e = NULL;
	/* Nor is it one that was, a moment ago. */
	if (!obj && !e && m->nrates)
		return not_yet(m, ev);
	if (!alive && !adopted)
		bs_mark_unknown(m, ev->klass_id);
	if (e && !e->replaced && e->tid != ev->tid) {
		/* Of one that gets its id, and whose new is still to come. */
		bs_undecided(m);
		return not_yet(m, ev);
	}
	if (ev->kind == BSCOPE_KIND_UNBORROW) {
		int ret = bs_tie_unborrow(m, p, ev);

		if (ret)
			return ret < 0 ? ret : 0;
	}
	if (obj && !alive && !adopted)
		return bs_mark_after_drop(m, ev, obj);
	if (counts && alive && !bs_coarse_shared(m, ev->klass_id))
		count_change(m, obj, ev, ev->kind == BSCOPE_KIND_RETAIN ? 1 : -1);
	return counts ? 0 : tie_mark(m, p, ev, alive ? obj : NULL);
}
