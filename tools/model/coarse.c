// SPDX-License-Identifier: GPL-2.0-only
/*
 * coarse.c - marks of several threads with coarse stamps: those of one thread are in order, those
 * of others may come before or after them, by as much as a stamp may be old.
 *
 * Nothing is proven by the order of such marks: the class has no verdicts any more.  Nor is
 * anything by that of two classes' marks, be each class one thread's, unless it is the same thread
 * for all (see complete() in verdict.c).  What can still be known is how many objects there are:
 * each that began and ended is counted once, whichever of the two marks comes first.
 *
 *   A new on an id that is alive: the end of that object is on its way.  It is taken for ended now,
 *   and the drop that comes for it is passed over.
 *   A drop of an object that is not known: its new may be on its way.  When it comes, the object
 * has ended already; if it does not come in time, the object was there before the attach.
 *
 *   A resize is the end of one id and the beginning of another: likewise.
 *
 * (Until a second thread's first mark has come, the class is taken for one thread's: where they
 * share objects from the first moment on, as many as lived then may be counted wrongly.)
 *
 * Both are counted in refs, which says nothing else here; but for what was counted before a second
 * thread came (BS_OBJ_COUNTED).
 */
#include "model/state.h"

#include <errno.h>

void bs_coarse_mark(struct bs_model *m, const struct bs_event *ev)
{
	struct bs_class *c = &m->classes[ev->klass_id];

	if (!m->tid)
		m->tid = ev->tid;
	m->several |= m->tid != ev->tid;
	if (!c->tid)
		c->tid = ev->tid;
	if (c->tid == ev->tid || c->shared)
		return;
	c->gap_ns = c->lit_gap_ns = UINT64_MAX;
	c->shared = m->shared = true;
}

size_t bs_model_shared(const struct bs_model *m)
{
	size_t n = 0;

	for (uint32_t i = 0; i < m->nclasses; i++)
		n += m->classes[i].shared;
	return n;
}

static bool in_time(const struct bs_model *m, uint64_t then_ns, const struct bs_event *ev)
{
	return ev->ts_ns < then_ns + m->coarse_ns;
}

int bs_coarse_replace(struct bs_model *m, struct bs_obj *obj, const struct bs_event *ev)
{
	int owed = !(obj->flags & BS_OBJ_COUNTED) && in_time(m, obj->birth_ns, ev) ? obj->refs : 0;
	int err = bs_object_gone(m, obj, ev->ts_ns);

	obj->refs = owed < BS_OBJ_MAX_REFS ? owed + 1 : owed;
	obj->flags = 0;
	return err;
}

bool bs_coarse_replaced(const struct bs_model *m, struct bs_obj *obj, const struct bs_event *ev)
{
	if (obj->flags & BS_OBJ_COUNTED || obj->refs <= 0 || !in_time(m, obj->birth_ns, ev))
		return false;
	obj->refs--;
	return true;
}

int bs_coarse_end_came(struct bs_model *m, struct bs_obj *dead, const struct bs_event *ev)
{
	struct bs_class *c = &m->classes[ev->klass_id];

	if (!dead || !(dead->flags & BS_OBJ_DEAD) || dead->refs <= 0 ||
	    !in_time(m, dead->birth_ns, ev))
		return 0;
	dead->refs--;
	/* It was no end of an unknown object. */
	m->totals.unknown--;
	c->unknown--;
	return bs_series_add(&c->unknown_drops, &m->clock, ev->ts_ns, 0, -1) ? -ENOMEM : 1;
}

int bs_coarse_ended(struct bs_model *m, struct bs_obj *dead, const struct bs_event *ev,
		    uint32_t origin)
{
	struct bs_obj obj = {.birth_ns = ev->ts_ns, .origin = origin};
	int came = bs_coarse_end_came(m, dead, ev);

	if (came <= 0)
		return came;
	if (ev->has & BS_EVENT_HAS_BYTES)
		obj.bytes = bs_clamp_bytes(ev->arg);
	m->origins.v[origin].created++;
	m->totals.created++;
	if (bs_sampling(m) && bs_sample_created(m, &obj, ev->stratum))
		return -ENOMEM;
	/* For a moment, so that it leaves like any other. */
	if (bs_live_change(m, &obj, 1, ev->ts_ns) || bs_object_gone(m, &obj, ev->ts_ns))
		return -ENOMEM;
	return 1;
}
