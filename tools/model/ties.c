/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ties.c - who borrows and who owns what.
 *
 * A tie needs no object: a lock that was there before anybody looked is borrowed as well as any
 * other.  What is not known is taken for what accuses nobody: borrows that began unseen are not
 * there, and an owner is one since a move was seen.  Those that are objects themselves: holders.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bscope/abi.h"
#include "model/state.h"

/* Ties without anything are kept, since most come again; not for ever. */
#define IDLE_MAX 4096u

struct bs_tie *bs_tie_search(struct bs_proc *p, uint32_t klass, uint64_t id)
{
	struct bs_key key = {.id = id, .klass = klass};
	struct bs_tie *tie;

	HASH_FIND_BYHASHVALUE(hh, p->ties, &key, sizeof(key), bs_key_hash(p, &key), tie);
	return tie;
}

void bs_tie_free(struct bs_tie *tie)
{
	if (tie)
		bs_holds_fini(tie);
	free(tie);
}

struct bs_tie *bs_tie_detach(struct bs_model *m, struct bs_proc *p, uint32_t klass, uint64_t id)
{
	struct bs_tie *tie = bs_tie_find(m, p, klass, id);

	if (tie) {
		HASH_DEL(p->ties, tie);
		m->classes[klass].nties--;
	}
	return tie;
}

static void tie_free(struct bs_model *m, struct bs_proc *p, struct bs_tie *tie)
{
	HASH_DEL(p->ties, tie);
	m->classes[tie->key.klass].nties--;
	bs_tie_free(tie);
}

static void idle_free(struct bs_model *m, struct bs_proc *p)
{
	struct bs_tie *tie, *next;

	HASH_ITER (hh, p->ties, tie, next)
		if (!tie->nholds && !tie->owned)
			tie_free(m, p, tie);
}

static struct bs_tie *tie_get(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev)
{
	struct bs_tie *tie = bs_tie_find(m, p, ev->klass_id, ev->id);

	if (tie)
		return tie;
	/* Twice as many as were in use: each is looked at about once. */
	if (HASH_COUNT(p->ties) >= p->ties_max) {
		idle_free(m, p);
		p->ties_max = IDLE_MAX + 2 * HASH_COUNT(p->ties);
	}
	tie = calloc(1, sizeof(*tie));
	if (!tie)
		return NULL;
	tie->key = bs_key_of(ev);
	HASH_ADD_BYHASHVALUE(hh, p->ties, key, sizeof(tie->key), bs_key_hash(p, &tie->key), tie);
	m->classes[ev->klass_id].nties++;
	return tie;
}

void bs_tie_remove(struct bs_model *m, struct bs_proc *p, uint32_t klass, uint64_t id)
{
	struct bs_tie *tie = bs_tie_find(m, p, klass, id);

	if (tie)
		tie_free(m, p, tie);
}

/* A mark of before. */
static struct bs_event event_of(const struct bs_proc *p, const struct bs_evidence *at)
{
	return (struct bs_event){
		.ts_ns = at->ts_ns, .pid = p->pid, .tid = at->tid, .place = at->place};
}

/* What is known of the object, which may be in its resize. */
static uint32_t tie_flags(const struct bs_model *m, const struct bs_proc *p,
			  const struct bs_tie *tie)
{
	const struct bs_event at = {.id = tie->key.id, .klass_id = (uint32_t)tie->key.klass};
	const struct bs_obj *obj = bs_objects_find(
		&p->objects, bs_objects_hash(m->seed, at.klass_id, at.id), at.klass_id, at.id);
	const struct bs_pending *e = bs_pending_of(p, &at);

	return (obj ? obj->flags : 0u) | (e ? e->obj.flags : 0u);
}

/*
 * A borrow whose borrower was dropped.  A destructor gives back what its members had borrowed after
 * it has said that it is at work: what the same thread ends is all right.
 */
static int orphan_found(struct bs_model *m, const struct bs_proc *p, const struct bs_tie *tie,
			struct bs_hold *hold)
{
	struct bs_event ev = event_of(p, &hold->orphaned);

	if (!hold->orphaned.place)
		return 0;
	hold->orphaned.place = 0;
	if (hold->doubt ||
	    (tie_flags(m, p, tie) & (BS_OBJ_UNSURE | BS_OBJ_DOUBT | BS_OBJ_ADOPTED))) {
		bs_undecided(m);
		return 0;
	}
	return bs_suspect(m, BS_VERDICT_BORROW_OUTLIVES_OWNER, &ev, tie->key, hold->since,
			  p->heard_ns, hold->by, 0);
}

/* Was it in force still when the object was dropped?  Its end would have come by now. */
static bool outlives(const struct bs_hold *hold, const struct bs_event *ev)
{
	return hold->dropped && ev->ts_ns > hold->changed_ns + BS_MODEL_SKEW_NS;
}

int bs_tie_followed(struct bs_model *m, const struct bs_tie *tie, const struct bs_event *ev)
{
	struct bs_event borrow = *ev;
	int err = 0;

	for (uint32_t i = 0; i < tie->nholds && !err; i++) {
		borrow.tid = tie->holds[i].changed_tid;
		borrow.ts_ns = tie->holds[i].changed_ns;
		if (bs_no_order(ev, borrow.tid, borrow.ts_ns))
			err = bs_recent_add(&m->marks, &borrow, 0);
	}
	return err;
}

int bs_tie_over(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev)
{
	struct bs_tie *tie = bs_tie_find(m, p, ev->klass_id, ev->id);
	int err;

	if (!tie)
		return 0;
	err = bs_tie_followed(m, tie, ev);
	for (uint32_t i = 0; i < tie->nholds && !err; i++)
		if (outlives(&tie->holds[i], ev))
			err = orphan_found(m, p, tie, &tie->holds[i]);
	tie_free(m, p, tie);
	return err;
}

/* --- borrows ------------------------------------------------------------------------------------
 */

/* Of the process, the object and the borrower. */
static uint64_t end_hash(const struct bs_model *m, const struct bs_event *ev)
{
	return bs_objects_hash(m->seed, ev->pid,
			       bs_objects_hash(m->seed, ev->klass_id, ev->id) ^
				       ev->arg * 0x9e3779b97f4a7c15ull);
}

/*
 * One thread borrowed, and another, that it had told of it, has given that back already: by clocks
 * that differ the end came first.
 */
static bool end_came(const struct bs_model *m, const struct bs_event *ev)
{
	uint64_t hash = end_hash(m, ev);
	const struct bs_last_end *e = &m->ends[hash % BS_LAST_ENDS];

	if (ev->has & BS_EVENT_IN_ORDER || !e->ts_ns || ev->ts_ns > e->ts_ns + BS_MODEL_SKEW_NS)
		return false;
	if (!e->several && e->hash != hash)
		return false;
	return e->several_threads || bs_no_order(ev, e->tid, e->ts_ns);
}

void bs_borrow_ended(struct bs_model *m, const struct bs_event *ev)
{
	uint64_t hash = end_hash(m, ev);
	struct bs_last_end *e = &m->ends[hash % BS_LAST_ENDS];
	bool over = !e->ts_ns || ev->ts_ns > e->ts_ns + BS_MODEL_SKEW_NS;

	if (ev->has & BS_EVENT_IN_ORDER)
		return;
	/* What another one said of itself is forgotten no sooner than it may matter. */
	e->several = !over && (e->several || e->hash != hash);
	e->several_threads = !over && (e->several_threads || e->tid != ev->tid);
	e->hash = hash;
	e->tid = ev->tid;
	e->ts_ns = over || ev->ts_ns > e->ts_ns ? ev->ts_ns : e->ts_ns;
}

/* Levels that threads which have no order begin and end: was one exclusive that is left? */
static void level_changed(struct bs_hold *hold, const struct bs_event *ev)
{
	hold->doubt |= bs_no_order(ev, hold->changed_tid, hold->changed_ns);
	hold->changed_tid = ev->tid;
	hold->changed_ns = ev->ts_ns;
}

void bs_tie_doubt(struct bs_tie *tie, const struct bs_event *ev)
{
	for (uint32_t i = 0; i < tie->nholds; i++)
		tie->holds[i].doubt |=
			bs_no_order(ev, tie->holds[i].changed_tid, tie->holds[i].changed_ns);
}

void bs_tie_renamed(const struct bs_model *m, struct bs_tie *tie, const struct bs_event *ev)
{
	struct bs_event end = *ev;

	for (uint32_t i = 0; i < tie->nholds; i++) {
		end.arg = tie->holds[i].by;
		tie->holds[i].doubt |= end_came(m, &end);
	}
}

void bs_hold_doubt(struct bs_tie *tie, const struct bs_event *ev)
{
	struct bs_hold *hold = bs_hold_find(tie, ev->arg);

	if (hold)
		hold->doubt = true;
}

/* A borrow begins while that one is in force: one of them is exclusive. */
static int conflict(struct bs_model *m, const struct bs_proc *p, const struct bs_event *ev,
		    const struct bs_tie *tie, const struct bs_hold *other, bool exclusive)
{
	uint32_t before = m->nsuspects;
	int err = bs_suspect(m, BS_VERDICT_CONFLICTING_BORROW, ev, tie->key, other->since,
			     bs_proof_ns(m, p, tie->key, other->since.ts_ns), ev->arg, other->by);

	/* Readers are in nobody's way until one of their levels is exclusive. */
	if (m->nsuspects > before && !exclusive) {
		m->suspects[before].other_tid = other->exclusive_tid;
		m->suspects[before].other_ns = other->exclusive_ns;
	}
	return err;
}

/*
 * The oldest borrow of another one that is certain and in the way of this one.  NULL: none is; then
 * those that may be are counted.
 */
static const struct bs_hold *in_the_way(struct bs_model *m, const struct bs_tie *tie, uint64_t by,
					bool exclusive, bool doubt)
{
	const struct bs_hold *oldest = NULL;
	uint32_t unsure = 0;

	/* Mostly all of them only read. */
	if (!exclusive && !tie->nexclusive)
		return NULL;
	for (uint32_t i = 0; i < tie->nholds; i++) {
		const struct bs_hold *other = &tie->holds[i];

		if (other->by == by || (!exclusive && !other->exclusive))
			continue;
		if (doubt || other->doubt)
			unsure++;
		else if (!oldest || other->number < oldest->number)
			oldest = other;
	}
	for (; unsure && !oldest; unsure--)
		bs_undecided(m);
	return oldest;
}

int bs_tie_borrow(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev, bool exclusive,
		  bool sure)
{
	struct bs_tie *tie = tie_get(m, p, ev);
	struct bs_hold *hold;
	const struct bs_hold *other;
	bool doubt;
	int err = 0;

	if (!tie)
		return -ENOMEM;
	hold = bs_hold_find(tie, ev->arg);
	if (hold) {
		level_changed(hold, ev);
		hold->doubt |= !sure;
		/* Whose is what is left of it, if there is another one of that id, or was? */
		hold->orphaned.place = 0;
		if (hold->holder && bs_tracked(m, p, ev, ev->arg) != hold->holder)
			hold->holder = 0;
	}
	doubt = hold ? hold->doubt : !sure || end_came(m, ev);
	other = in_the_way(m, tie, ev->arg, exclusive, doubt);
	if (other)
		err = conflict(m, p, ev, tie, other, exclusive);
	if (!hold) {
		hold = bs_hold_add(tie, ev->arg);
		if (!hold)
			return -ENOMEM;
		hold->since = bs_evidence_of(m, ev);
		hold->changed_tid = ev->tid;
		hold->changed_ns = ev->ts_ns;
		hold->doubt = doubt;
		hold->holder = bs_tracked(m, p, ev, ev->arg);
		if (hold->holder && !err)
			err = bs_holder_add(m, p, hold->holder, ev->arg, tie);
	}
	if (hold->holder && !err)
		err = bs_holder_says(m, ev, hold->holder);
	hold->levels++;
	if (exclusive && !hold->exclusive)
		bs_hold_exclude(tie, hold, ev);
	return err;
}

/* Of at least one. */
static const struct bs_hold *newest_exclusive(const struct bs_tie *tie)
{
	const struct bs_hold *newest = NULL;

	for (uint32_t i = 0; i < tie->nholds; i++) {
		const struct bs_hold *hold = &tie->holds[i];

		if (hold->exclusive &&
		    (!newest || hold->exclusive_ns > newest->exclusive_ns ||
		     (hold->exclusive_ns == newest->exclusive_ns && hold->number > newest->number)))
			newest = hold;
	}
	return newest;
}

int bs_tie_unborrow(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev)
{
	struct bs_tie *tie = bs_tie_find(m, p, ev->klass_id, ev->id);
	struct bs_event other = *ev;
	int ret = 0;

	/* A lock is free when anybody has unlocked it. */
	if (tie && tie->nexclusive && m->classes[ev->klass_id].locks && !bs_hold_find(tie, ev->arg))
		other.arg = newest_exclusive(tie)->by;
	if (tie)
		ret = bs_hold_end(m, p, tie, &other);
	if (!ret)
		bs_borrow_ended(m, ev);
	return ret;
}

int bs_hold_end(struct bs_model *m, const struct bs_proc *p, struct bs_tie *tie,
		const struct bs_event *ev)
{
	struct bs_hold *hold = bs_hold_find(tie, ev->arg);
	uint32_t before = m->nsuspects;
	int err = 0;

	if (!hold)
		return 0;
	if (--hold->levels < hold->exclusive)
		bs_hold_share(tie, hold);
	bs_borrow_ended(m, ev);
	if (hold->levels) {
		level_changed(hold, ev);
		return 1;
	}
	if (hold->orphaned.place && (ev->tid != hold->orphaned.tid || outlives(hold, ev))) {
		if (bs_no_order(ev, hold->orphaned.tid, hold->orphaned.ts_ns))
			bs_undecided(m);
		else
			err = orphan_found(m, p, tie, hold);
		if (m->nsuspects > before) {
			m->suspects[before].end_tid = ev->tid;
			m->suspects[before].end_ns = ev->ts_ns;
		}
	}
	bs_hold_remove(tie, hold);
	return err ? err : 1;
}

int bs_tie_drop(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev)
{
	struct bs_tie *tie = bs_tie_find(m, p, ev->klass_id, ev->id);
	int err = 0;

	if (!tie)
		return 0;
	if (!tie->nholds) {
		tie_free(m, p, tie);
		return 0;
	}
	for (uint32_t i = 0; i < tie->nholds && !err; i++) {
		struct bs_hold *hold = &tie->holds[i];

		hold->holder = 0;
		/* Whoever has dropped its borrower may have given it back a moment ago. */
		if (hold->orphaned.place && hold->orphaned.tid != ev->tid) {
			if (hold->dropped)
				continue;
			hold->dropped = true;
			hold->changed_tid = ev->tid;
			hold->changed_ns = ev->ts_ns;
			continue;
		}
		/* That they outlive it has been said. */
		err = orphan_found(m, p, tie, hold);
	}
	tie->owned = false;
	tie->moved = tie->orphaned = (struct bs_evidence){0};
	return err;
}

/* --- owners -------------------------------------------------------------------------------------
 */

int bs_tie_move(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev, bool sure)
{
	struct bs_tie *tie = tie_get(m, p, ev);

	if (!tie)
		return -ENOMEM;
	/* Of moves that have no order nobody knows which was the last; nor of those between. */
	if (tie->moved.place)
		sure = sure && !bs_no_order(ev, tie->moved.tid, tie->moved.ts_ns) &&
		       (tie->owned || ev->has & BS_EVENT_IN_ORDER ||
			ev->ts_ns - tie->moved.ts_ns > BS_MODEL_SKEW_NS);
	tie->owned = sure;
	tie->owner = ev->arg;
	tie->moved = bs_evidence_of(m, ev);
	tie->orphaned = (struct bs_evidence){0};
	tie->owner_klass = tie->owned ? bs_tracked(m, p, ev, ev->arg) : 0;
	if (!tie->owner_klass)
		return 0;
	if (bs_holder_says(m, ev, tie->owner_klass))
		return -ENOMEM;
	return bs_holder_add(m, p, tie->owner_klass, ev->arg, tie);
}

int bs_tie_use(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev,
	       const struct bs_obj *obj)
{
	const struct bs_tie *tie = bs_tie_find(m, p, ev->klass_id, ev->id);
	uint64_t since = 0;

	if (!tie || !tie->owned || tie->owner == ev->arg || bs_hold_find(tie, ev->arg))
		return 0;
	/* Before the move, or before it gave its borrow back. */
	if (bs_no_order(ev, tie->moved.tid, tie->moved.ts_ns) || end_came(m, ev)) {
		bs_undecided(m);
		return 0;
	}
	/*
	 * Whoever uses it may have borrowed it at any time since its birth; which may have come
	 * before its birth, and is forgotten.
	 */
	if (obj && !(obj->flags & (BS_OBJ_DEAD | BS_OBJ_ADOPTED | BS_OBJ_DOUBT | BS_OBJ_UNSURE)))
		since = obj->birth_ns;
	return bs_suspect(m, BS_VERDICT_USE_AFTER_MOVE, ev, tie->key, tie->moved, since, ev->arg,
			  0);
}

int bs_tie_attach(struct bs_model *m, struct bs_proc *p, struct bs_tie *tie, uint64_t id)
{
	uint32_t klass = (uint32_t)tie->key.klass;
	bool renamed = tie->key.id != id;
	int err = 0;

	bs_tie_remove(m, p, klass, id);
	tie->key.id = id;
	HASH_ADD_BYHASHVALUE(hh, p->ties, key, sizeof(tie->key), bs_key_hash(p, &tie->key), tie);
	m->classes[klass].nties++;
	/* Who has it knows it by its new name. */
	for (uint32_t i = 0; renamed && i < tie->nholds && !err; i++)
		if (tie->holds[i].holder)
			err = bs_holder_add(m, p, tie->holds[i].holder, tie->holds[i].by, tie);
	if (renamed && !err && tie->owned && tie->owner_klass)
		err = bs_holder_add(m, p, tie->owner_klass, tie->owner, tie);
	return err;
}

/* Was who dropped it ended in the middle of that destructor, or may be in it still? */
static bool unfinished(const struct bs_proc *p, const struct bs_evidence *drop, uint64_t ts_ns,
		       uint64_t grace_ns)
{
	uint64_t age_ns = ts_ns - drop->ts_ns;

	if (age_ns < grace_ns)
		return true;
	for (uint32_t i = 0; i < p->nkilled && age_ns < BS_ORPHAN_NS; i++)
		if (p->killed[i] == drop->tid)
			return true;
	return false;
}

/* Its owner was dropped; if it is alive still, that has forgotten it. */
static int orphan_alive(struct bs_model *m, struct bs_proc *p, const struct bs_tie *tie,
			uint64_t ts_ns, uint64_t grace_ns)
{
	struct bs_event ev = event_of(p, &tie->orphaned);
	uint32_t klass = (uint32_t)tie->key.klass;
	const struct bs_obj *obj = bs_objects_find(
		&p->objects, bs_objects_hash(m->seed, klass, tie->key.id), klass, tie->key.id);

	if (!obj || obj->flags & (BS_OBJ_DEAD | BS_OBJ_DOUBT))
		return 0;
	if (!unfinished(p, &tie->orphaned, ts_ns, grace_ns))
		return bs_suspect(m, BS_VERDICT_LEAK, &ev, tie->key, tie->moved, p->heard_ns,
				  tie->owner, 0);
	bs_undecided(m);
	return 0;
}

int bs_ties_killed(struct bs_proc *p, uint32_t tid)
{
	if (p->nkilled == p->killed_cap) {
		uint32_t cap = p->killed_cap ? p->killed_cap * 2 : 16;
		uint32_t *v = reallocarray(p->killed, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		p->killed = v;
		p->killed_cap = cap;
	}
	p->killed[p->nkilled++] = tid;
	return 0;
}

int bs_ties_end(struct bs_model *m, struct bs_proc *p, uint64_t ts_ns, uint64_t grace_ns)
{
	int err = 0;

	for (struct bs_tie *tie = p->ties; tie && !err; tie = tie->hh.next) {
		for (uint32_t i = 0; i < tie->nholds && !err; i++) {
			struct bs_hold *hold = &tie->holds[i];

			if (hold->orphaned.place && unfinished(p, &hold->orphaned, ts_ns, grace_ns))
				bs_undecided(m);
			else
				err = orphan_found(m, p, tie, hold);
		}
		if (!err && tie->orphaned.place)
			err = orphan_alive(m, p, tie, ts_ns, grace_ns);
	}
	return err;
}

void bs_ties_fini(struct bs_model *m, struct bs_proc *p)
{
	struct bs_tie *tie, *next;

	free(p->killed);
	p->killed = NULL;
	p->nkilled = p->killed_cap = 0;
	bs_holders_fini(p);
	HASH_ITER (hh, p->ties, tie, next)
		tie_free(m, p, tie);
	p->ties_max = 0;
}
