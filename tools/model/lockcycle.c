/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * lockcycle.c - in which order threads take locks, and where two orders could meet in a deadlock.
 *
 * Who waits for lock B while it holds A makes an edge from A to B.  Edges are made by what one
 * thread did, in its own order, so clocks do not matter (but for what it does not hold any more
 * because another one does: lockorder.c).  A cycle of edges could be a deadlock if
 *   - each of them is some other thread's: a thread waits for one lock at a time;
 *   - no two of these threads held one and the same lock, unless both for reading: it would keep
 *     them apart (a gate);
 *   - what one waits for the next one does hold against it: readers do not wait for readers.
 * A gate that a thread had taken before anybody looked, or when something was lost, shows when it
 * is given back, which is before anybody else can have it: then that thread's edges go.
 *
 * Such a cycle is a finding if nothing unseen could explain it.  An unlock that was missed makes a
 * false edge, and one of any class may be a gate: since what was held was got, no mark of locks may
 * be missing.  And each lock must have been the same one all the time, for at one address one lock
 * may follow another:
 *   - its new was seen (its drop ends all its edges, and so does its new), or
 *   - it is a variable that lasts as long as the process, or
 *   - it lies in an object whose size is known and that has been there since before.
 * Else it is undecided.
 *
 * Memory: an edge keeps so many of those who made it that all which matter are among them; when
 * there are too many edges, a process forgets its own and begins anew.  So something may be missed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "bscope/abi.h"
#include "model/lockorder.h"

#define WITNESSES_MAX 64u /* of an edge */
#define EDGES_MAX     65536u
#define STEPS_MAX     10000u
#define CYCLES_MAX    1024u
#define BLOCK_LOOKS   256u
/* Of one who does the same again, what was seen last is kept if it is so much later. */
#define REFRESH_NS 1000000000ull

/* A lock that was held while another was waited for, or waited for. */
struct bs_lock {
	struct bs_key key;
	struct bs_lock_edge *out, *in;
	UT_hash_handle hh;
};

struct gate {
	struct bs_key key;
	bool exclusive;
};

/* One who made the edge; the gates are all that it held. */
struct witness {
	struct bs_evidence held, wanted;
	bool held_exclusive, wanted_exclusive;
	uint32_t ngates;
	struct gate *gates;
};

struct bs_lock_edge {
	struct {
		struct bs_key from, to;
	} key;
	struct bs_lock *from, *to;
	struct witness *v;
	uint32_t n;
	struct bs_lock_edge *out_prev, *out_next, *in_prev, *in_next;
	UT_hash_handle hh;
};

/* What was found at the same places, or could not be decided. */
struct bs_cycle {
	uint32_t key[2 * BS_CYCLE_MAX]; /* where each was held and wanted; 0 behind the last */
	bool found;
	uint64_t mark; /* that completed it last: the number of borrows until then */
	struct bs_cycle_row row;
	UT_hash_handle hh;
};

/* --- edges ------------------------------------------------------------------------------------ */

static void edge_free(struct bs_model *m, struct bs_proc *p, struct bs_lock_edge *e)
{
	HASH_DEL(p->lock_edges, e);
	DL_DELETE2(e->from->out, e, out_prev, out_next);
	DL_DELETE2(e->to->in, e, in_prev, in_next);
	for (uint32_t i = 0; i < e->n; i++)
		free(e->v[i].gates);
	free(e->v);
	free(e);
	m->nlock_edges--;
}

static void lock_free(struct bs_model *m, struct bs_proc *p, struct bs_lock *l)
{
	while (l->out)
		edge_free(m, p, l->out);
	while (l->in)
		edge_free(m, p, l->in);
	HASH_DEL(p->locks, l);
	free(l);
}

static void locks_free(struct bs_model *m, struct bs_proc *p)
{
	struct bs_lock *l, *next;

	HASH_ITER (hh, p->locks, l, next)
		lock_free(m, p, l);
}

static struct bs_lock *lock_get(struct bs_proc *p, const struct bs_key *key)
{
	struct bs_lock *l;

	HASH_FIND(hh, p->locks, key, sizeof(*key), l);
	if (l)
		return l;
	l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->key = *key;
	HASH_ADD(hh, p->locks, key, sizeof(l->key), l);
	return l;
}

static struct bs_lock_edge *edge_get(struct bs_model *m, struct bs_proc *p,
				     const struct bs_key *from, const struct bs_key *to)
{
	struct bs_lock_edge *e, probe;

	memset(&probe.key, 0, sizeof(probe.key));
	probe.key.from = *from;
	probe.key.to = *to;
	HASH_FIND(hh, p->lock_edges, &probe.key, sizeof(probe.key), e);
	if (e)
		return e;
	if (m->nlock_edges >= EDGES_MAX)
		locks_free(m, p);
	/* Those of other processes: they will do the same. */
	if (m->nlock_edges >= 2 * EDGES_MAX)
		return NULL;
	e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	e->key = probe.key;
	e->from = lock_get(p, from);
	e->to = lock_get(p, to);
	if (!e->from || !e->to) {
		free(e);
		return NULL;
	}
	DL_APPEND2(e->from->out, e, out_prev, out_next);
	DL_APPEND2(e->to->in, e, in_prev, in_next);
	HASH_ADD(hh, p->lock_edges, key, sizeof(e->key), e);
	m->nlock_edges++;
	return e;
}

/* What it has had since before something was lost it may have given back, and got as a writer. */
static bool may_exclude(const struct bs_model *m, const struct bs_lock_held *h)
{
	return h->exclusive || !bs_seen_since(m, &m->classes[h->key.klass], h->since.ts_ns);
}

/* Did it hold no more than this thread does now?  Then this one is no better a witness. */
static bool held_less(const struct bs_model *m, const struct witness *w,
		      const struct bs_lock_thread *t)
{
	for (uint32_t i = 0; i < w->ngates; i++) {
		uint32_t k = 0;

		while (k < t->n && !bs_key_same(&w->gates[i].key, &t->held[k].key))
			k++;
		if (k == t->n || (w->gates[i].exclusive && !may_exclude(m, &t->held[k])))
			return false;
	}
	return true;
}

/* Makes it what this thread does now.  NULL with *err when out of memory: it is as it was. */
static struct witness *witness_set(struct bs_model *m, struct witness *w,
				   const struct bs_lock_thread *t, const struct bs_lock_held *h,
				   const struct bs_event *ev, int *err)
{
	struct gate *gates = calloc(t->n, sizeof(*gates));

	*err = gates ? 0 : -ENOMEM;
	if (!gates)
		return NULL;
	for (uint32_t i = 0; i < t->n; i++)
		gates[i] = (struct gate){t->held[i].key, may_exclude(m, &t->held[i])};
	free(w->gates);
	*w = (struct witness){
		.held = h->since,
		.wanted = bs_evidence_of(m, ev),
		.held_exclusive = h->exclusive,
		.wanted_exclusive = ev->kind == BSCOPE_KIND_BORROW_MUT,
		.ngates = t->n,
		.gates = gates,
	};
	return w;
}

/*
 * The witness for what this thread does now, NULL if it is nothing new (*err 0) or on errors.  Of
 * those who prove as much, as many are kept as a cycle can have threads.
 */
static struct witness *witness_new(struct bs_model *m, struct bs_lock_edge *e,
				   const struct bs_lock_thread *t, const struct bs_lock_held *h,
				   const struct bs_event *ev, int *err)
{
	bool exclusive = ev->kind == BSCOPE_KIND_BORROW_MUT;
	uint32_t tids[BS_CYCLE_MAX], ntids = 0;
	struct witness *v;

	*err = 0;
	for (uint32_t i = 0; i < e->n; i++) {
		struct witness *w = &e->v[i];
		uint32_t k = 0;

		if (w->held_exclusive != h->exclusive || w->wanted_exclusive != exclusive ||
		    !held_less(m, w, t))
			continue;
		/* What was before a loss is worth nothing any more, whoever did it. */
		if ((w->wanted.tid == ev->tid && w->ngates == t->n &&
		     ev->ts_ns > w->wanted.ts_ns + REFRESH_NS) ||
		    !bs_seen_since(m, &m->classes[h->key.klass], w->held.ts_ns))
			return witness_set(m, w, t, h, ev, err);
		while (k < ntids && tids[k] != w->wanted.tid)
			k++;
		if (k == ntids)
			tids[ntids++] = w->wanted.tid;
		if (w->wanted.tid == ev->tid || ntids == BS_CYCLE_MAX)
			return NULL;
	}
	if (e->n == WITNESSES_MAX)
		return NULL;
	*err = -ENOMEM;
	v = reallocarray(e->v, e->n + 1, sizeof(*v));
	if (!v)
		return NULL;
	e->v = v;
	v = &v[e->n];
	*v = (struct witness){0};
	v = witness_set(m, v, t, h, ev, err);
	e->n += v != NULL;
	return v;
}

/* --- cycles ----------------------------------------------------------------------------------- */

struct search {
	struct bs_model *m;
	struct bs_proc *p;
	uint32_t n, steps;
	const struct bs_lock_edge *edges[BS_CYCLE_MAX];
	const struct witness *by[BS_CYCLE_MAX];
	int err;
};

/* Could both be where they were at the same time? */
static bool together(const struct witness *a, const struct witness *b)
{
	if (a->wanted.tid == b->wanted.tid)
		return false;
	for (uint32_t i = 0; i < a->ngates; i++)
		for (uint32_t k = 0; k < b->ngates; k++)
			if (bs_key_same(&a->gates[i].key, &b->gates[k].key) &&
			    (a->gates[i].exclusive || b->gates[k].exclusive))
				return false;
	return true;
}

/* Does what b holds keep a waiting? */
static bool blocks(const struct witness *a, const struct witness *b)
{
	return a->wanted_exclusive || b->held_exclusive;
}

/*
 * Is there an object of known size that holds it, and was there before?  One that was resized has
 * come to lie there later.  By clocks that differ marks of the one before stand behind the birth of
 * the next.
 */
static bool in_a_block(struct bs_model *m, const struct bs_proc *p, uint64_t id, uint64_t since_ns)
{
	const struct bs_obj *obj;
	uint64_t pos = 0;

	if (m->block_looks == BLOCK_LOOKS)
		return false;
	m->block_looks++;
	while ((obj = bs_objects_next(&p->objects, &pos)))
		if (id >= obj->id && id - obj->id < obj->bytes &&
		    obj->birth_ns + BS_MODEL_SKEW_NS < since_ns && !obj->resized &&
		    !(obj->flags & BS_OBJ_DOUBT))
			return bs_seen_since(m, &m->classes[obj->klass], obj->birth_ns);
	return false;
}

static bool lasted(struct bs_model *m, const struct bs_proc *p, const struct bs_key *key,
		   uint64_t since_ns)
{
	uint32_t klass = (uint32_t)key->klass;
	const struct bs_obj *obj = bs_objects_find(
		&p->objects, bs_objects_hash(m->seed, klass, key->id), klass, key->id);

	if (obj && !(obj->flags & (BS_OBJ_DEAD | BS_OBJ_DOUBT)) && obj->birth_ns < since_ns)
		return true;
	return (m->lasting && m->lasting(m->lasting_ctx, p->pid, key->id)) ||
	       in_a_block(m, p, key->id, since_ns);
}

/* Since then all marks of all locks were seen: one that was not could be a gate. */
static bool all_seen_since(const struct bs_model *m, uint64_t since_ns)
{
	for (uint32_t k = 1; k < m->nclasses; k++)
		if (m->classes[k].locks && !bs_seen_since(m, &m->classes[k], since_ns))
			return false;
	return true;
}

/* Nothing unseen could explain it. */
static bool proven(const struct search *s)
{
	uint64_t since = UINT64_MAX;

	for (uint32_t i = 0; i < s->n; i++)
		if (s->by[i]->held.ts_ns < since)
			since = s->by[i]->held.ts_ns;
	/* One that is not followed may be a gate, too. */
	if (bs_sampling(s->m) || !all_seen_since(s->m, since))
		return false;
	for (uint32_t i = 0; i < s->n; i++)
		if (!lasted(s->m, s->p, &s->edges[i]->key.from, since))
			return false;
	return true;
}

/* Begins with the edge whose places have the least numbers: the same cycle has one key. */
static uint32_t first_of(const struct search *s)
{
	uint32_t first = 0;

	for (uint32_t i = 1; i < s->n; i++) {
		const struct witness *a = s->by[i], *b = s->by[first];

		if (a->held.place != b->held.place ? a->held.place < b->held.place
						   : a->wanted.place < b->wanted.place)
			first = i;
	}
	return first;
}

static struct bs_cycle_edge edge_row(const struct bs_model *m, const struct bs_lock_edge *e,
				     const struct witness *w)
{
	struct bs_cycle_edge row = {
		.tid = w->wanted.tid,
		.held_klass = (uint32_t)e->key.from.klass,
		.klass = (uint32_t)e->key.to.klass,
		.held_id = e->key.from.id,
		.id = e->key.to.id,
		.held_ns = w->held.ts_ns,
		.ns = w->wanted.ts_ns,
	};

	bs_pin_get(m, w->held.place, &row.held_place, &row.held_code);
	bs_pin_get(m, w->wanted.place, &row.place, &row.code);
	return row;
}

static int cycle_found(const struct search *s)
{
	uint32_t first = first_of(s);
	struct bs_model *m = s->m;
	uint64_t mark =
		m->totals.marks[BSCOPE_KIND_BORROW] + m->totals.marks[BSCOPE_KIND_BORROW_MUT];
	struct bs_cycle *c, probe;

	memset(&probe, 0, sizeof(probe));
	for (uint32_t i = 0; i < s->n; i++) {
		const struct witness *w = s->by[(first + i) % s->n];

		probe.key[2 * i] = w->held.place;
		probe.key[2 * i + 1] = w->wanted.place;
	}
	HASH_FIND(hh, m->cycles, probe.key, sizeof(probe.key), c);
	if (!c && HASH_COUNT(m->cycles) == CYCLES_MAX)
		return 0;
	if (!c) {
		c = malloc(sizeof(*c));
		if (!c)
			return -ENOMEM;
		*c = probe;
		/* Once, however often it comes. */
		m->undecided++;
		HASH_ADD(hh, m->cycles, key, sizeof(c->key), c);
	}
	/* Once for each mark, whoever else could be part of it. */
	if (c->mark == mark || !proven(s))
		return 0;
	c->mark = mark;
	c->row.count++;
	m->cycle_ns = s->by[0]->wanted.ts_ns;
	if (c->found)
		return 0;
	c->found = true;
	m->undecided--;
	c->row.pid = s->p->pid;
	c->row.n = s->n;
	for (uint32_t i = 0; i < s->n; i++)
		c->row.edges[i] =
			edge_row(m, s->edges[(first + i) % s->n], s->by[(first + i) % s->n]);
	return 0;
}

/* Goes on from the last edge. */
static void search_on(struct search *s)
{
	const struct bs_lock_edge *last = s->edges[s->n - 1];

	for (const struct bs_lock_edge *e = last->to->out; e; e = e->out_next) {
		bool closes = e->to == s->edges[0]->from;

		if (!closes && s->n + 1 == BS_CYCLE_MAX)
			continue;
		for (uint32_t i = 0; i < e->n; i++) {
			const struct witness *w = &e->v[i];
			bool fits = blocks(s->by[s->n - 1], w);

			if (s->err || s->steps++ >= STEPS_MAX)
				return;
			for (uint32_t k = 0; k < s->n && fits; k++)
				fits = together(s->by[k], w) && e->to != s->edges[k]->to;
			if (!fits || (closes && !blocks(w, s->by[0])))
				continue;
			s->edges[s->n] = e;
			s->by[s->n++] = w;
			if (closes)
				s->err = cycle_found(s);
			else
				search_on(s);
			s->n--;
		}
	}
}

/* The thread waits for one while it holds others. */
int bs_lockcycle_waits(struct bs_model *m, struct bs_proc *p, const struct bs_lock_thread *t,
		       const struct bs_event *ev)
{
	struct bs_key to = bs_key_of(ev);
	int err = 0;

	/* Perhaps it is the one before that it waits for. */
	if (bs_recent_find(&m->relocked, ev))
		return 0;

	for (uint32_t i = 0; i < t->n && !err; i++) {
		struct search s = {.m = m, .p = p, .n = 1};
		struct bs_lock_edge *e;

		/* Perhaps it does not hold that any more. */
		if (t->held[i].taken_ns || t->held[i].doubt ||
		    !bs_seen_since(m, &m->classes[t->held[i].key.klass], t->held[i].since.ts_ns))
			continue;
		e = edge_get(m, p, &t->held[i].key, &to);
		if (!e)
			return m->nlock_edges < 2 * EDGES_MAX ? -ENOMEM : 0;
		s.edges[0] = e;
		s.by[0] = witness_new(m, e, t, &t->held[i], ev, &err);
		if (!s.by[0])
			continue;
		search_on(&s);
		err = s.err;
	}
	return err;
}

void bs_lockcycle_thread(struct bs_proc *p, uint32_t tid)
{
	for (struct bs_lock_edge *e = p->lock_edges; e; e = e->hh.next) {
		uint32_t kept = 0;

		for (uint32_t i = 0; i < e->n; i++) {
			if (e->v[i].wanted.tid == tid)
				free(e->v[i].gates);
			else
				e->v[kept++] = e->v[i];
		}
		e->n = kept;
	}
}

/* May the mark with which it was got, or waited for, be of the next one of that address? */
static bool may_be_the_next(const struct bs_cycle_row *row, const struct bs_event *ev)
{
	for (uint32_t i = 0; i < row->n; i++) {
		const struct bs_cycle_edge *e = &row->edges[i];

		if ((e->id == ev->id && e->klass == ev->klass_id &&
		     bs_no_order(ev, e->tid, e->ns)) ||
		    (e->held_id == ev->id && e->held_klass == ev->klass_id &&
		     bs_no_order(ev, e->tid, e->held_ns)))
			return true;
	}
	return false;
}

int bs_lockcycle_begins(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev)
{
	struct bs_key key = bs_key_of(ev);
	struct bs_lock *l;

	HASH_FIND(hh, p->locks, &key, sizeof(key), l);
	if (l)
		lock_free(m, p, l);
	if (ev->ts_ns > m->cycle_ns + BS_MODEL_SKEW_NS)
		return bs_recent_add(&m->relocked, ev, 0);
	for (struct bs_cycle *c = m->cycles; c; c = c->hh.next) {
		if (!c->found || c->row.pid != p->pid || !may_be_the_next(&c->row, ev))
			continue;
		c->found = false;
		/* However often: it was found in this moment, and all that came after it is as
		 * near. */
		c->row.count = 0;
		m->undecided++;
	}
	return bs_recent_add(&m->relocked, ev, 0);
}

void bs_lockcycle_fini(struct bs_model *m, struct bs_proc *p)
{
	locks_free(m, p);
}

void bs_lockcycle_free(struct bs_model *m)
{
	struct bs_cycle *c, *next;

	HASH_ITER (hh, m->cycles, c, next) {
		HASH_DEL(m->cycles, c);
		free(c);
	}
}

/* --- rows ------------------------------------------------------------------------------------- */

static uint64_t cycle_ns(const struct bs_cycle_row *row)
{
	uint64_t ns = 0;

	for (uint32_t i = 0; i < row->n; i++)
		if (row->edges[i].ns > ns)
			ns = row->edges[i].ns;
	return ns;
}

static int cycle_cmp(const void *x, const void *y)
{
	uint64_t a = cycle_ns(x), b = cycle_ns(y);

	return (a > b) - (a < b);
}

int bs_model_cycles(const struct bs_model *m, struct bs_cycle_row **rows, size_t *n)
{
	*n = 0;
	*rows = NULL;
	if (!m->cycles)
		return 0;
	*rows = malloc(HASH_COUNT(m->cycles) * sizeof(**rows));
	if (!*rows)
		return -ENOMEM;
	for (const struct bs_cycle *c = m->cycles; c; c = c->hh.next)
		if (c->found)
			(*rows)[(*n)++] = c->row;
	qsort(*rows, *n, sizeof(**rows), cycle_cmp);
	return 0;
}
