/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * resizes.c - objects that may move.  From begin to end an object is alive under no id: the
 * allocator may give its old one to another thread meanwhile.
 */
#include "model/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bscope/abi.h"

struct bs_pending *bs_pending_search(const struct bs_proc *p, const struct bs_event *ev)
{
	for (uint32_t i = p->npending; i-- > 0;) {
		struct bs_pending *e = &p->pending[i];

		if (e->obj.id == ev->id && e->obj.klass == ev->klass_id)
			return e;
	}
	return NULL;
}

struct bs_obj *bs_resized_to(const struct bs_model *m, const struct bs_proc *p,
			     const struct bs_event *ev)
{
	const struct bs_moment *at = bs_recent_find(&m->resized, ev);

	if (!at)
		return NULL;
	return bs_objects_find(&p->objects, bs_objects_hash(m->seed, ev->klass_id, at->to),
			       ev->klass_id, at->to);
}

bool bs_resized_doubt(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev)
{
	const struct bs_moment *at = bs_recent_find(&m->resized, ev);
	struct bs_obj *to = bs_resized_to(m, p, ev);
	struct bs_event renamed = *ev;
	struct bs_pending *e;

	if (!at)
		return false;
	renamed.id = at->to;
	/* It is being resized again, or has been: who has which id by now? */
	if (!to) {
		e = bs_pending_of(p, &renamed);
		if (e)
			e->obj.flags |= BS_OBJ_DOUBT | BS_OBJ_UNSURE;
		return true;
	}
	/* What looks wrong under its new id may be right: so does a new explain it all. */
	renamed.kind = BSCOPE_KIND_NEW;
	bs_suspects_explain(m, &renamed);
	to->flags |= to->flags & BS_OBJ_DEAD ? BS_OBJ_DOUBT : BS_OBJ_DOUBT | BS_OBJ_UNSURE;
	return !(to->flags & BS_OBJ_DEAD);
}

void bs_pending_replaced(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev)
{
	struct bs_pending *e = bs_pending_of(p, ev);

	if (!e || e->replaced)
		return;
	e->replaced = true;
	e->tie = bs_tie_detach(m, p, ev->klass_id, ev->id);
}

void bs_pending_remove(struct bs_proc *p, uint32_t i)
{
	p->npending--;
	memmove(&p->pending[i], &p->pending[i + 1], (p->npending - i) * sizeof(*p->pending));
}

/*
 * One that began before something was lost, or while sites were dark, may have ended there: it is
 * taken for none that began since, whatever its id.
 */
uint32_t bs_pending_find(const struct bs_model *m, const struct bs_proc *p,
			 const struct bs_event *ev, bool id_only)
{
	uint64_t gap_ns = m->classes[ev->klass_id].gap_ns;
	uint32_t last = UINT32_MAX;

	if (gap_ns < m->loss_ns)
		gap_ns = m->loss_ns;

	for (uint32_t i = p->npending; i-- > 0;) {
		const struct bs_pending *e = &p->pending[i];

		if (e->tid != ev->tid || e->obj.klass != ev->klass_id)
			continue;
		if (last != UINT32_MAX && e->begin_ns <= gap_ns)
			break;
		if (e->obj.id == ev->id)
			return i;
		if (last == UINT32_MAX)
			last = i;
	}
	return id_only ? UINT32_MAX : last;
}

/* The oldest resize is given up: whose thread has died in it, most likely. */
static int pending_evict(struct bs_model *m, struct bs_proc *p, uint64_t ts_ns)
{
	struct bs_pending e = p->pending[0];

	bs_pending_remove(p, 0);
	bs_tie_free(e.tie);
	if (!e.known)
		return 0;
	m->totals.vanished++;
	bs_mark_unknown(m, e.obj.klass);
	return bs_live_change(m, &e.obj, -1, ts_ns);
}

/* Of those whose end may have been lost: all that is said of other objects looks through them. */
#define STALE_MAX 64u

/*
 * Of too many the oldest are given up, where something was lost since they began: two for each that
 * is added.  What ends after all is known again by that.
 */
static int pending_prune(struct bs_model *m, struct bs_proc *p, uint64_t ts_ns)
{
	int err = 0;

	for (unsigned i = 0; i < 2 && p->npending > STALE_MAX && !err; i++) {
		const struct bs_pending *e = &p->pending[0];

		if (bs_seen_since(m, &m->classes[e->obj.klass], e->begin_ns))
			break;
		err = pending_evict(m, p, ts_ns);
	}
	return err;
}

int bs_resize_begin(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev, uint64_t hash)
{
	struct bs_pending *e;
	const struct bs_moment *at;
	struct bs_tie *tie;
	bool doubt, second, other, twin, vanished, near;
	int err = 0;

	e = bs_pending_of(p, ev);
	other = e && bs_no_order(ev, e->tid, e->begin_ns);
	if (other) {
		/* Two of that id: which of them was the first? */
		bs_pending_replace(m, p, ev);
		bs_tie_free(e->tie);
		e->tie = NULL;
		e->obj.flags |= BS_OBJ_DOUBT | BS_OBJ_UNSURE;
	}
	/* Likewise, and that one is over already. */
	other |= bs_recent_find(&m->resized, ev) != NULL;
	second = bs_resized_doubt(m, p, ev);
	bs_pending_replace(m, p, ev);
	bs_ties_holder_moves(m, p, ev);
	err = pending_prune(m, p, ev->ts_ns);
	if (p->npending == BS_MODEL_MAX_PENDING && !err)
		err = pending_evict(m, p, ev->ts_ns);
	if (p->npending == p->pending_cap) {
		uint32_t cap = p->pending_cap ? p->pending_cap * 2 : 4;

		e = realloc(p->pending, cap * sizeof(*e));
		if (!e)
			return -ENOMEM;
		p->pending = e;
		p->pending_cap = cap;
	}
	e = &p->pending[p->npending++];
	memset(e, 0, sizeof(*e));
	e->tid = ev->tid;
	e->begin_ns = ev->ts_ns;
	near = bs_recent_any(&m->twins, ev, BS_MODEL_SKEW_NS);
	at = bs_recent_find(&m->twins, ev);
	twin = at;
	vanished = at && at->to == BS_TWIN_VANISHED;
	if (twin)
		bs_recent_take(&m->twins, ev);
	/* Of the object before, which was taken for gone; or of this one. */
	if (vanished) {
		struct bs_obj *obj = bs_objects_find(&p->objects, hash, ev->klass_id, ev->id);

		if (obj)
			obj->flags |= BS_OBJ_DOUBT | BS_OBJ_UNSURE;
		e->obj.id = ev->id;
		e->obj.klass = ev->klass_id & BS_MODEL_MAX_DENSE;
		e->replaced = true;
		bs_suspects_void(m, ev);
		bs_undecided(m);
		return err ? err : bs_recent_add(&m->marks, ev, 0);
	}
	if (bs_coarse_shared(m, ev->klass_id)) {
		struct bs_obj *obj = bs_objects_find(&p->objects, hash, ev->klass_id, ev->id);
		bool alive = obj && !(obj->flags & BS_OBJ_DEAD);

		if (!alive || bs_coarse_replaced(m, obj, ev)) {
			e->obj.id = ev->id;
			e->obj.klass = ev->klass_id & BS_MODEL_MAX_DENSE;
			return err || alive ? err : bs_unknown_end(m, p, ev, hash, obj);
		}
	}
	/* What others said of it just now, they may have said of who gets its id. */
	doubt = bs_recent_find(&m->marks, ev);
	tie = bs_tie_find(m, p, ev->klass_id, ev->id);
	if (tie) {
		bs_tie_doubt(tie, ev);
		if (!err)
			err = bs_tie_followed(m, tie, ev);
	}
	if (tie && doubt)
		tie->owned = false;
	e->known = bs_objects_take(&p->objects, hash, ev->klass_id, ev->id, &e->obj);
	/* Another one had the id, was taken for gone, and may be there still. */
	if (e->known && near && !err)
		err = bs_leave_doubt(m, p, ev, hash);
	if (doubt)
		e->obj.flags |= BS_OBJ_UNSURE;
	/* Or it was this one that was dropped before its new, by clocks that differ. */
	if (e->known && twin)
		e->obj.flags |= BS_OBJ_DOUBT | BS_OBJ_UNSURE;
	/*
	 * Or it is one that nobody has seen, and whose id the other one gets; or another one was
	 * resized before, and this is the one that had the id then.
	 */
	if (second || (e->known && bs_recent_find(&m->firsts, ev)))
		e->obj.flags |= BS_OBJ_DOUBT | BS_OBJ_UNSURE;
	if (!e->known) {
		const struct bs_obj *dead =
			bs_objects_find(&p->objects, hash, ev->klass_id, ev->id);

		e->obj.id = ev->id;
		e->obj.klass = ev->klass_id & BS_MODEL_MAX_DENSE;
		if (!bs_sampling(m) || dead)
			bs_mark_unknown(m, ev->klass_id);
		/* Borrows that outlived that one are none of this. */
		if (dead)
			bs_tie_remove(m, p, ev->klass_id, ev->id);
		/* It may have begun before that other one did, which was alive then. */
		if (dead && other)
			bs_undecided(m);
		else if (dead && !err)
			err = bs_mark_after_drop(m, ev, dead);
	}
	return err;
}

/*
 * An object that existed before anybody looked is known from now on.  Its bytes are alive, but
 * they did not grow here: they stay out of the series, and what it changes by later goes in.
 * flags: what is known of it nevertheless.
 */
static int adopt(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev, uint64_t hash,
		 uint32_t flags)
{
	uint32_t origin = bs_origin_intern(&m->origins, ev->klass_id, ev->place, ev->code);
	struct bs_origin *g;
	struct bs_obj *obj;

	if (origin == UINT32_MAX)
		return -ENOMEM;
	obj = bs_take_id(m, p, &m->classes[ev->klass_id], ev, hash);
	if (!obj)
		return -ENOMEM;
	obj->birth_ns = ev->ts_ns;
	obj->bytes = ev->has & BS_EVENT_HAS_BYTES ? bs_clamp_bytes(ev->arg) : 0;
	obj->flags |= BS_OBJ_ADOPTED | (flags & (BS_OBJ_DOUBT | BS_OBJ_UNSURE)) |
		      (bs_resized_already(m, p, ev) ? BS_OBJ_DOUBT : 0u);
	obj->origin = origin;
	g = &m->origins.v[origin];
	m->totals.adopted++;
	/* With sampling it is one that was just chosen: it stands for bytes that did grow here. */
	if (bs_sampling(m))
		return bs_live_change(m, obj, 1, ev->ts_ns);
	g->live++;
	g->live_bytes += obj->bytes;
	m->totals.live++;
	m->totals.live_bytes += obj->bytes;
	return 0;
}

/*
 * What another thread said of it a moment before it began may come after it, under its old id, and
 * what one said when it had ended may have come before that.
 */
static int resized(struct bs_model *m, const struct bs_event *ev, struct bs_pending *e)
{
	struct bs_event begin = *ev;

	if (bs_recent_find(&m->marks, ev)) {
		e->obj.flags |= BS_OBJ_UNSURE;
		if (e->tie)
			e->tie->owned = false;
	}
	begin.ts_ns = e->begin_ns;
	begin.id = e->obj.id;
	return e->obj.id == ev->id ? 0 : bs_recent_add(&m->resized, &begin, ev->id);
}

/* With coarse stamps: the object's end came before that of its resize. */
static int resized_and_gone(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev,
			    uint32_t i)
{
	struct bs_pending e;

	if (i == UINT32_MAX)
		return 0;
	e = p->pending[i];
	bs_pending_remove(p, i);
	bs_tie_free(e.tie);
	return e.known ? bs_object_gone(m, &e.obj, ev->ts_ns) : 0;
}

/*
 * By bytes a resize chooses anew.  Of what it chooses some had not been followed, and nobody knows
 * where they began; so all of it is from where it was resized: where each begins a row again, it
 * is known of each row what part of it was chosen.
 */
static int resize_is_origin(struct bs_model *m, struct bs_obj *obj, const struct bs_event *ev)
{
	uint32_t origin = bs_origin_intern(&m->origins, ev->klass_id, ev->place, ev->code);

	if (origin == UINT32_MAX || bs_live_change(m, obj, -1, ev->ts_ns))
		return -ENOMEM;
	obj->origin = origin;
	m->decided = (struct bs_moment){
		.key = bs_key_of(ev), .pid = ev->pid, .tid = ev->tid, .ts_ns = ev->ts_ns};
	return bs_live_change(m, obj, 1, ev->ts_ns);
}

int bs_resize_end(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev, uint64_t hash)
{
	uint32_t i = bs_pending_find(m, p, ev, false);
	struct bs_pending e;
	struct bs_origin *g;
	struct bs_obj *obj;
	uint64_t bytes, delta;
	int64_t before, count;
	bool shared = bs_coarse_shared(m, ev->klass_id);
	int16_t owed = 0;

	if (shared) {
		int came = bs_coarse_end_came(
			m, bs_objects_find(&p->objects, hash, ev->klass_id, ev->id), ev);

		if (came)
			return came < 0 ? came : resized_and_gone(m, p, ev, i);
	}
	if (i == UINT32_MAX) {
		/* Its begin was before the attach, or not followed. */
		if (!bs_sampling(m))
			bs_mark_unknown(m, ev->klass_id);
		return adopt(m, p, ev, hash, 0);
	}
	e = p->pending[i];
	bs_pending_remove(p, i);
	/* Its ties wait under its old id, unless somebody else has that by now. */
	if (!bs_seen_since(m, &m->classes[ev->klass_id], e.begin_ns)) {
		/* Perhaps unseen; or this is the end of another one. */
		bs_tie_free(e.tie);
		e.tie = NULL;
	} else if (!e.replaced) {
		e.tie = bs_tie_detach(m, p, ev->klass_id, e.obj.id);
	}
	if (e.tie)
		bs_tie_renamed(m, e.tie, ev);
	if (resized(m, ev, &e)) {
		bs_tie_free(e.tie);
		return -ENOMEM;
	}
	obj = bs_objects_find(&p->objects, hash, ev->klass_id, ev->id);
	if (obj &&
	    ((obj->flags & BS_OBJ_DEAD ? bs_no_order(ev, (uint32_t)obj->bytes, obj->birth_ns)
				       : bs_fresh_at_its_id(obj, ev)) ||
	     (obj->flags & BS_OBJ_DOUBT && ev->ts_ns <= obj->birth_ns + 2 * BS_MODEL_SKEW_NS))) {
		/* Perhaps it was this one that was dropped, and the other that is. */
		bs_tie_free(e.tie);
		e.tie = NULL;
		e.obj.flags |= BS_OBJ_DOUBT | BS_OBJ_UNSURE;
	}
	if (!e.known) {
		int err = adopt(m, p, ev, hash, e.obj.flags);

		if (!err && e.tie)
			return bs_tie_attach(m, p, e.tie, ev->id);
		bs_tie_free(e.tie);
		return err;
	}

	if (bs_resized_already(m, p, ev) || bs_resized_before(m, p, ev))
		e.obj.flags |= BS_OBJ_DOUBT | BS_OBJ_UNSURE;
	obj = bs_take_id(m, p, &m->classes[ev->klass_id], ev, hash);
	if (!obj) {
		bs_tie_free(e.tie);
		bs_live_change(m, &e.obj, -1, ev->ts_ns);
		return -ENOMEM;
	}
	/* What is on its way of the one that had the id is no count of this one's. */
	owed = obj->refs;
	if (e.tie && bs_tie_attach(m, p, e.tie, ev->id))
		return -ENOMEM;
	if (p->nregions && bs_region_rename(m, p, ev, e.obj.id, e.obj.birth_ns))
		return -ENOMEM;
	obj->birth_ns = e.obj.birth_ns;
	obj->bytes = e.obj.bytes;
	obj->refs = e.obj.refs;
	obj->resized = true;
	/* What was said of the one before it a moment ago, was said of this one, perhaps. */
	obj->flags = e.obj.flags | (bs_recent_find(&m->marks, ev) ? BS_OBJ_UNSURE : 0u);
	obj->origin = e.obj.origin;
	if (shared) {
		obj->refs = owed;
		obj->flags &= ~(uint32_t)BS_OBJ_COUNTED & 0xff;
	}
	if (bs_sampling(m) && bs_sample_bytes(&m->rarest) && resize_is_origin(m, obj, ev))
		return -ENOMEM;
	if (!(ev->has & BS_EVENT_HAS_BYTES))
		return 0;
	bytes = bs_clamp_bytes(ev->arg);
	delta = bytes - obj->bytes;
	g = &m->origins.v[obj->origin];
	before = bs_series_bytes(m, obj);
	count = bs_series_count(m, obj);
	obj->bytes = bytes;
	if (bs_series_add(&g->series, &m->clock, ev->ts_ns, bs_series_bytes(m, obj) - before,
			  bs_series_count(m, obj) - count))
		return -ENOMEM;
	g->live_bytes += delta;
	m->totals.live_bytes += delta;
	return 0;
}
