/* SPDX-License-Identifier: GPL-2.0-only */
/* lives.c - objects begin and end. */
#include "model/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bscope/abi.h"

void bs_mark_unknown(struct bs_model *m, uint32_t klass)
{
	m->totals.unknown++;
	m->classes[klass].unknown++;
}

/*
 * A drop of what is dead has come, though all was seen since it died: of one whose new was still to
 * come, by clocks that differ.  Is it that of this one?
 */
static bool drop_is_owed(const struct bs_obj *dead, const struct bs_event *ev)
{
	return dead->refs > 0 && bs_no_order(ev, (uint32_t)dead->bytes, dead->birth_ns);
}

/* One that has begun, and whose drop came before: it is over. */
static int owed_drop(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev,
		     uint64_t hash, struct bs_obj *obj)
{
	struct bs_obj gone = *obj;

	obj->flags = BS_OBJ_DOUBT;
	bs_objects_bury(&p->objects, hash, obj, bs_pin(m, ev), ev->tid, ev->ts_ns);
	obj->refs = gone.refs - 1;
	m->totals.unknown--;
	m->classes[ev->klass_id].unknown--;
	if (bs_series_add(&m->classes[ev->klass_id].unknown_drops, &m->clock, ev->ts_ns, 0, -1))
		return -ENOMEM;
	return bs_object_gone(m, &gone, ev->ts_ns);
}

struct bs_obj *bs_take_over(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev,
			    uint64_t hash, struct bs_obj *obj, bool found)
{
	bool doubt;

	/* What is known of who borrows and owns it was of another; which may be in its resize. */
	bs_pending_replace(m, p, ev);
	if (m->classes[ev->klass_id].nties && bs_tie_over(m, p, ev))
		return NULL;
	if (!found)
		return obj;
	if (obj->flags & BS_OBJ_DEAD) {
		bool fresh = !(ev->has & BS_EVENT_IN_ORDER) &&
			     ev->ts_ns - obj->birth_ns <= 2 * BS_MODEL_SKEW_NS;
		bool twin = obj->flags & BS_OBJ_DOUBT;
		int owed = ev->kind == BSCOPE_KIND_NEW && drop_is_owed(obj, ev) ? obj->refs : 0;

		doubt = (twin && (fresh || bs_sampling(m))) ||
			bs_no_order(ev, (uint32_t)obj->bytes, obj->birth_ns);
		twin |= doubt;
		/* It may have been alive; or it was this one that was dropped. */
		if (twin && bs_recent_add(&m->twins, ev, 0))
			return NULL;
		if (fresh && bs_recent_add(&m->fresh, ev, 0))
			return NULL;
		bs_objects_revive(&p->objects, hash, obj);
		/* If that was long ago, what is said of this one a moment later is not in doubt. */
		obj->flags = (fresh ? BS_OBJ_FRESH : 0) | (doubt  ? BS_OBJ_UNSURE | BS_OBJ_DOUBT
							   : twin ? BS_OBJ_TWIN
								  : 0);
		obj->refs = owed;
		return obj;
	}
	if (bs_coarse_shared(m, ev->klass_id))
		return bs_coarse_replace(m, obj, ev) ? NULL : obj;
	if (bs_live_change(m, obj, -1, ev->ts_ns) || bs_recent_add(&m->twins, ev, BS_TWIN_VANISHED))
		return NULL;
	m->totals.vanished++;
	bs_mark_unknown(m, ev->klass_id);
	/* That one may have come later; or a drop of it that has come may have been of this one. */
	doubt = bs_fresh_at_its_id(obj, ev) ||
		(obj->flags & BS_OBJ_DOUBT && ev->ts_ns <= obj->birth_ns + 2 * BS_MODEL_SKEW_NS);
	obj->flags = doubt ? BS_OBJ_TWIN | BS_OBJ_UNSURE | BS_OBJ_DOUBT : BS_OBJ_TWIN;
	if (ev->has & BS_EVENT_IN_ORDER)
		obj->flags = 0;
	obj->refs = 0;
	obj->resized = false;
	return obj;
}

int bs_object_new(struct bs_model *m, struct bs_proc *p, const struct bs_class *c,
		  const struct bs_event *ev, uint64_t hash)
{
	uint32_t origin = bs_origin_intern(&m->origins, ev->klass_id, ev->place, ev->code);
	struct bs_obj *obj, gone;
	struct bs_origin *g;
	int err;

	if (origin == UINT32_MAX)
		return -ENOMEM;
	if (bs_coarse_shared(m, ev->klass_id)) {
		obj = bs_objects_find(&p->objects, hash, ev->klass_id, ev->id);
		err = obj && obj->flags & BS_OBJ_DEAD ? bs_coarse_ended(m, obj, ev, origin) : 0;
		if (err)
			return err < 0 ? err : 0;
	}
	obj = bs_take_id(m, p, c, ev, hash);
	if (!obj)
		return -ENOMEM;
	g = &m->origins.v[origin];
	obj->birth_ns = ev->ts_ns;
	obj->bytes = ev->has & BS_EVENT_HAS_BYTES ? bs_clamp_bytes(ev->arg) : 0;
	obj->origin = origin;
	if (bs_resized_from(m, p, ev))
		obj->flags |= BS_OBJ_FRESH;
	/* What was said of it a moment ago may have been said of this one, or its resize. */
	if (m->explained || bs_resized_already(m, p, ev) || bs_resized_before(m, p, ev))
		obj->flags |= BS_OBJ_UNSURE | BS_OBJ_DOUBT;
	else if (bs_recent_find(&m->marks, ev))
		obj->flags |= BS_OBJ_UNSURE;
	err = bs_origin_change(m, g, obj, 1, ev->ts_ns);
	if (err) {
		bs_objects_take(&p->objects, hash, ev->klass_id, ev->id, &gone);
		return err;
	}
	g->created++;
	m->totals.created++;
	if (bs_sampling(m) && bs_sample_created(m, obj, ev->stratum))
		return -ENOMEM;
	/* With coarse stamps it says what is owed behind it: coarse.c. */
	if (obj->refs && !m->coarse_ns)
		return owed_drop(m, p, ev, hash, obj);
	return p->nregions ? bs_region_birth(m, p, ev) : 0;
}

static int lifetime_add(struct bs_origin *g, const struct bs_obj *obj, uint64_t ts_ns)
{
	uint64_t age;

	/* How long it had lived before its resize made it known, nobody knows. */
	if (obj->flags & BS_OBJ_ADOPTED)
		return 0;
	if (!g->lifetime)
		g->lifetime = calloc(1, sizeof(*g->lifetime));
	if (!g->lifetime)
		return -ENOMEM;
	age = ts_ns > obj->birth_ns ? ts_ns - obj->birth_ns : 0;
	g->lifetime_ns += (double)age;
	return bs_hist_add(g->lifetime, age);
}

static inline __attribute__((always_inline)) int
object_gone(struct bs_model *m, const struct bs_obj *obj, uint64_t ts_ns)
{
	struct bs_origin *g = &m->origins.v[obj->origin];
	int err = bs_origin_change(m, g, obj, -1, ts_ns);

	if (err)
		return err;
	g->dropped++;
	m->totals.dropped++;
	if (bs_sampling(m) && bs_sample_dropped(m, obj))
		return -ENOMEM;
	return lifetime_add(g, obj, ts_ns);
}

int bs_object_gone(struct bs_model *m, const struct bs_obj *obj, uint64_t ts_ns)
{
	return object_gone(m, obj, ts_ns);
}

/* How a dead object died. */
struct bs_evidence bs_death_of(const struct bs_obj *dead)
{
	return (struct bs_evidence){
		.place = dead->origin, .tid = (uint32_t)dead->bytes, .ts_ns = dead->birth_ns};
}

/*
 * By clocks that differ, what is said of a dead one may be said of one that nobody has seen, or
 * that another thread has made of its id since, and which was taken for another.
 */
static bool may_be_the_next(const struct bs_model *m, const struct bs_event *ev)
{
	return bs_recent_find(&m->firsts, ev) || bs_recent_find(&m->fresh, ev);
}

int bs_mark_after_drop(struct bs_model *m, const struct bs_event *ev, const struct bs_obj *dead)
{
	struct bs_evidence drop = bs_death_of(dead);

	/* A borrow that nobody saw begin may have been in force then. */
	if ((ev->kind == BSCOPE_KIND_UNBORROW && !(dead->flags & BS_OBJ_WHOLE)) ||
	    dead->flags & BS_OBJ_DOUBT || bs_no_order(ev, drop.tid, drop.ts_ns) ||
	    may_be_the_next(m, ev)) {
		bs_undecided(m);
		return 0;
	}
	return bs_suspect(m, BS_VERDICT_USE_AFTER_DROP, ev, bs_key_of(ev), drop, drop.ts_ns, 0, 0);
}

/* Where it was made. */
static uint32_t origin_pin(struct bs_model *m, const struct bs_obj *obj)
{
	const struct bs_origin *g = &m->origins.v[obj->origin];

	return bs_pin_of(m, g->place, g->code);
}

/* Is anything wrong with dropping it now? */
static int drop_check(struct bs_model *m, const struct bs_proc *p, const struct bs_event *ev,
		      const struct bs_obj *obj, const struct bs_tie *tie)
{
	uint32_t before;
	int err = 0;

	/* Perhaps it was one that nobody has seen. */
	if (obj && bs_fresh_at_its_id(obj, ev) && bs_recent_find(&m->firsts, ev)) {
		bs_undecided(m);
		return 0;
	}
	if (tie && tie->nholds) {
		const struct bs_hold *hold = bs_tie_held(tie);

		if (!hold || bs_no_order(ev, hold->since.tid, hold->since.ts_ns))
			bs_undecided(m);
		else
			err = bs_suspect(
				m, BS_VERDICT_DROP_WHILE_BORROWED, ev, bs_key_of(ev), hold->since,
				bs_proof_ns(m, p, bs_key_of(ev), hold->since.ts_ns), hold->by, 0);
	}
	if (err || !obj || !(obj->flags & BS_OBJ_COUNTED) || obj->refs == -1)
		return err;
	if (obj->flags & (BS_OBJ_UNSURE | BS_OBJ_ADOPTED) || bs_recent_find(&m->marks, ev)) {
		bs_undecided(m);
		return 0;
	}
	before = m->nsuspects;
	err = bs_suspect(m, BS_VERDICT_UNBALANCED_COUNT, ev, bs_key_of(ev),
			 (struct bs_evidence){.place = origin_pin(m, obj), .ts_ns = obj->birth_ns},
			 obj->birth_ns, 0, 0);
	if (m->nsuspects > before)
		m->suspects[m->nsuspects - 1].row.balance = 1 + obj->refs;
	return err;
}

int bs_leave_doubt(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev, uint64_t hash)
{
	bool found;
	struct bs_obj *dead = bs_objects_put(&p->objects, hash, ev->klass_id, ev->id, &found);

	if (!dead)
		return -ENOMEM;
	dead->flags |= BS_OBJ_DOUBT;
	bs_objects_bury(&p->objects, hash, dead, bs_pin(m, ev), ev->tid, ev->ts_ns);
	return 0;
}

/* A drop of what is dead: so many of this moment are of those whose new is still to come. */
static int drops_owed(const struct bs_model *m, const struct bs_event *ev,
		      const struct bs_obj *dead)
{
	const struct bs_class *c = &m->classes[ev->klass_id];

	/* Or it was of one that nobody saw begin. */
	if (bs_sampling(m) || ev->has & BS_EVENT_TRIES || !c->has_new || c->locks ||
	    !bs_seen_since(m, c, dead->birth_ns))
		return 0;
	if (ev->ts_ns > dead->birth_ns + BS_MODEL_SKEW_NS)
		return 1;
	return dead->refs < BS_OBJ_MAX_REFS ? dead->refs + 1 : dead->refs;
}

/* What is not known dies, too: what is said of it afterwards is wrong all the same. */
int bs_unknown_end(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev, uint64_t hash,
		   struct bs_obj *dead)
{
	bool found, doubt;
	int owed = 0;

	bs_mark_unknown(m, ev->klass_id);
	if (dead) {
		owed = ev->ts_ns < dead->birth_ns + m->coarse_ns ? dead->refs : 0;
		if (!m->coarse_ns)
			dead->refs = drops_owed(m, ev, dead);
		/* Which of two drops without an order was the last? */
		doubt = bs_sampling(m) || (!(ev->has & BS_EVENT_IN_ORDER) &&
					   ev->ts_ns <= dead->birth_ns + BS_MODEL_SKEW_NS);
		dead->birth_ns = ev->ts_ns;
		dead->bytes = ev->tid;
		dead->origin = bs_pin(m, ev);
		dead->flags = BS_OBJ_DEAD | (doubt ? dead->flags & BS_OBJ_DOUBT : 0u);
	} else if (bs_sampling(m)) {
		/* It is not followed, and so is the next one of its id; or its new is still to
		 * come, by a thread whose clock is a little ahead. */
		if (bs_leave_doubt(m, p, ev, hash))
			return -ENOMEM;
	} else {
		dead = bs_objects_put(&p->objects, hash, ev->klass_id, ev->id, &found);
		if (!dead)
			return -ENOMEM;
		/* One that was taken for gone may have it still: what was resized away was its
		 * twin. */
		if (bs_recent_any(&m->twins, ev, BS_MODEL_SKEW_NS))
			dead->flags |= BS_OBJ_DOUBT;
		bs_objects_bury(&p->objects, hash, dead, bs_pin(m, ev), ev->tid, ev->ts_ns);
	}
	dead = bs_objects_find(&p->objects, hash, ev->klass_id, ev->id);
	/* With coarse stamps its new may still be to come. */
	if (dead && bs_coarse_shared(m, ev->klass_id) && owed < BS_OBJ_MAX_REFS)
		dead->refs = owed + 1;
	return bs_series_add(&m->classes[ev->klass_id].unknown_drops, &m->clock, ev->ts_ns, 0, 1);
}

/* What is to be known of it when it is dead. */
static uint8_t dead_flags(const struct bs_model *m, const struct bs_class *c,
			  const struct bs_event *ev, const struct bs_obj *obj)
{
	uint8_t flags = obj->flags & BS_OBJ_DOUBT;

	/* Perhaps it was its twin that was dropped. */
	if (bs_recent_any(&m->twins, ev, BS_MODEL_SKEW_NS))
		flags |= BS_OBJ_DOUBT;
	/* Or one that nobody has seen. */
	if (bs_fresh_at_its_id(obj, ev) && bs_recent_find(&m->firsts, ev))
		flags |= BS_OBJ_DOUBT;
	if (!(obj->flags & BS_OBJ_ADOPTED) && bs_seen_since(m, c, obj->birth_ns))
		flags |= BS_OBJ_WHOLE;
	return flags;
}

/* Of one that was being resized, and has no id; dead: what is known of who had its id before. */
static int given_up_drop(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev,
			 uint64_t hash, struct bs_obj *dead, const struct bs_obj *gone)
{
	uint8_t flags = gone->flags & BS_OBJ_DOUBT;
	bool found;

	/* The end of its resize may have been lost, and this be another one's. */
	if (!bs_seen_since(m, &m->classes[ev->klass_id], gone->birth_ns))
		flags = BS_OBJ_DOUBT;
	if (!dead)
		dead = bs_objects_put(&p->objects, hash, ev->klass_id, ev->id, &found);
	else
		bs_objects_revive(&p->objects, hash, dead);
	if (!dead)
		return -ENOMEM;
	dead->flags = flags;
	bs_objects_bury(&p->objects, hash, dead, bs_pin(m, ev), ev->tid, ev->ts_ns);
	return bs_object_gone(m, gone, ev->ts_ns);
}

/*
 * A drop of what is not known to live, or may not be what it seems.  1: it is what it seems, after
 * all; else that was all of it: 0 or -ENOMEM.
 */
static __attribute__((noinline)) int drop_look(struct bs_model *m, struct bs_proc *p,
					       const struct bs_event *ev, uint64_t hash,
					       struct bs_obj *obj)
{
	const struct bs_moment *twin;
	struct bs_pending *e;
	int err;

	if (!obj && bs_unfollowed(m, p) && !bs_coarse_shared(m, ev->klass_id))
		return bs_leave_doubt(m, p, ev, hash);
	if (ev->has & BS_EVENT_TRIES) {
		if (ev->arg)
			return bs_tried_vain(m, ev, obj);
		bs_tried_drop(m, ev, obj);
	}
	if (!obj || obj->flags & BS_OBJ_DEAD) {
		uint32_t i = p->npending ? bs_pending_find(m, p, ev, true) : UINT32_MAX;

		/* Dropped instead of the end of its resize: the program gave up in between. */
		if (i != UINT32_MAX) {
			struct bs_pending given_up = p->pending[i];

			bs_pending_remove(p, i);
			bs_tie_free(given_up.tie);
			if (given_up.known)
				return given_up_drop(m, p, ev, hash, obj, &given_up.obj);
		}
	}
	e = bs_pending_of(p, ev);
	if (e && e->known && bs_no_order(ev, e->tid, e->begin_ns)) {
		bs_undecided(m);
		if (obj && !(obj->flags & BS_OBJ_DEAD)) {
			struct bs_obj gone = *obj;

			/*
			 * Either, and which of them is being resized is not known either; but this
			 * id is nobody's.
			 */
			e->obj.flags |= BS_OBJ_DOUBT | BS_OBJ_UNSURE;
			obj->flags = BS_OBJ_DOUBT;
			bs_objects_bury(&p->objects, hash, obj, bs_pin(m, ev), ev->tid, ev->ts_ns);
			bs_ties_holder_moves(m, p, ev);
			bs_tie_remove(m, p, ev->klass_id, ev->id);
			return bs_object_gone(m, &gone, ev->ts_ns);
		}
		/* What is being resized is the next one of that id, then. */
		bs_pending_replace(m, p, ev);
		bs_tie_free(e->tie);
		e->tie = NULL;
		e->known = false;
		return bs_object_gone(m, &e->obj, ev->ts_ns);
	}
	/* That goes on: it is another one that is dropped, and not what that one's borrowers have.
	 */
	if (e && (!obj || obj->flags & BS_OBJ_DEAD))
		bs_pending_replace(m, p, ev);
	/* It may be that one's, and what was resized the next one of that id. */
	if (bs_resized_doubt(m, p, ev) && obj)
		obj->flags |=
			obj->flags & BS_OBJ_DEAD ? BS_OBJ_DOUBT : BS_OBJ_DOUBT | BS_OBJ_UNSURE;
	twin = obj ? bs_recent_find(&m->twins, ev) : NULL;
	if (twin) {
		bool ends = !(obj->flags & BS_OBJ_DEAD) && twin->to != BS_TWIN_VANISHED;

		bs_recent_take(&m->twins, ev);
		bs_suspects_void(m, ev);
		obj->flags |=
			obj->flags & BS_OBJ_DEAD ? BS_OBJ_DOUBT : BS_OBJ_DOUBT | BS_OBJ_UNSURE;
		bs_undecided(m);
		/* Or of the next one, whose new is still to come. */
		err = bs_recent_add(&m->marks, ev, 0);
		/*
		 * Of the object before, whose end was late; or of this one, and that is still to
		 * come.  If one has come before, there are as many by now as there were news.
		 */
		return err || !ends ? err : 1;
	}
	if (obj && obj->flags & BS_OBJ_DEAD) {
		struct bs_evidence drop = bs_death_of(obj);

		err = 0;
		/* It may have begun again unseen: a lock by its initialiser, or see tried.c. */
		if (m->classes[ev->klass_id].locks || ev->has & BS_EVENT_TRIES)
			return bs_unknown_end(m, p, ev, hash, obj);
		if (obj->flags & BS_OBJ_DOUBT || may_be_the_next(m, ev))
			bs_undecided(m);
		else
			err = bs_suspect(m, BS_VERDICT_DOUBLE_DROP, ev, bs_key_of(ev), drop,
					 drop.ts_ns, 0, 0);
		return err ? err : bs_unknown_end(m, p, ev, hash, obj);
	}
	if (obj && bs_coarse_shared(m, ev->klass_id) && bs_coarse_replaced(m, obj, ev))
		return 0;
	return 1;
}

int bs_object_drop(struct bs_model *m, struct bs_proc *p, const struct bs_class *c,
		   const struct bs_event *ev, uint64_t hash)
{
	struct bs_obj *obj = bs_objects_find(&p->objects, hash, ev->klass_id, ev->id);
	const struct bs_tie *tie;
	struct bs_obj gone;
	int err;

	/* Mostly it is alive, and nothing else is going on. */
	if (!obj || obj->flags & BS_OBJ_DEAD || ev->has & BS_EVENT_TRIES || p->npending ||
	    m->coarse_ns || !bs_recent_over(&m->twins, ev) || !bs_recent_over(&m->resized, ev)) {
		err = drop_look(m, p, ev, hash, obj);
		if (err <= 0)
			return err;
	}
	tie = c->nties ? bs_tie_search(p, ev->klass_id, ev->id) : NULL;
	if (tie || (obj && obj->flags & BS_OBJ_COUNTED)) {
		err = drop_check(m, p, ev, obj, tie);
		if (err)
			return err;
	}
	if (obj) {
		err = bs_ties_holder_gone(m, p, ev);
		if (err)
			return err;
	}
	if (tie) {
		err = bs_tie_drop(m, p, ev);
		if (err)
			return err;
	}
	if (!obj)
		return bs_unknown_end(m, p, ev, hash, NULL);
	gone = *obj;
	obj->flags = dead_flags(m, c, ev, &gone);
	bs_objects_bury(&p->objects, hash, obj, bs_pin(m, ev), ev->tid, ev->ts_ns);
	return object_gone(m, &gone, ev->ts_ns);
}
