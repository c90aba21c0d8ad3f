/* SPDX-License-Identifier: GPL-2.0-only */
/* lockorder.c - which thread holds which locks, and for how long; lockcycle.c says what for. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bscope/abi.h"
#include "model/lockorder.h"

#define THREADS_IDLE 1024u  /* that hold nothing; with more they are forgotten */
#define THREADS_MAX  16384u /* who ended with a lock, or whose unlock was lost, seems to hold it */
#define USES_MAX     4096u

struct bs_lock_use {
	struct {
		uint32_t klass, pin;
	} key;
	struct bs_hist held;
	UT_hash_handle hh;
};

/* --- who holds what --------------------------------------------------------------------------- */

static struct bs_lock_held *held_find(struct bs_lock_thread *t, const struct bs_key *key)
{
	for (uint32_t i = 0; t && i < t->n; i++)
		if (bs_key_same(&t->held[i].key, key))
			return &t->held[i];
	return NULL;
}

static void held_remove(struct bs_lock_thread *t, struct bs_lock_held *h)
{
	t->n--;
	memmove(h, h + 1, (size_t)(&t->held[t->n] - h) * sizeof(*h));
	if (!t->n)
		t->more = false;
}

/*
 * Does not hold it any more.  But by clocks that differ the mark with which it has given that back
 * may be still to come, behind others of its own: for a moment it holds it still.
 */
static void held_taken(struct bs_lock_held *h, const struct bs_event *ev)
{
	/* Or it is the next one that has it, and the other one gives it back in a moment. */
	if (bs_no_order(ev, h->since.tid, h->since.ts_ns) ||
	    bs_no_order(ev, h->since.tid, h->level_ns))
		h->doubt = true;
	else if (!h->taken_ns)
		h->taken_ns = ev->ts_ns;
}

static void taken_forget(struct bs_lock_thread *t, const struct bs_event *ev)
{
	for (uint32_t i = t->n; i-- > 0;)
		if (t->held[i].taken_ns && ev->ts_ns > t->held[i].taken_ns + BS_MODEL_SKEW_NS)
			held_remove(t, &t->held[i]);
}

/* By the lower bits of their tids: those of a process differ in these, mostly. */
static bool may_be_forgotten(const struct bs_proc *p, uint32_t tid)
{
	tid %= BS_LOCK_FORGOTTEN;
	return p->lock_forgotten && p->lock_forgotten[tid / 8] & 1u << tid % 8;
}

/*
 * Of too many that hold something, the oldest go.  One of them that is alive all the same has a
 * gate that nobody knows of: nothing is concluded from what it does.
 */
static void threads_forget(struct bs_proc *p)
{
	struct bs_lock_thread *t, *next;

	if (!p->lock_forgotten)
		p->lock_forgotten = calloc(1, BS_LOCK_FORGOTTEN / 8);
	if (!p->lock_forgotten)
		return;
	HASH_ITER (hh, p->lock_threads, t, next) {
		uint32_t tid = t->tid % BS_LOCK_FORGOTTEN;

		if (HASH_COUNT(p->lock_threads) <= THREADS_MAX / 2)
			break;
		p->lock_forgotten[tid / 8] |= (uint8_t)(1u << tid % 8);
		HASH_DEL(p->lock_threads, t);
		free(t);
	}
}

/* Those that hold nothing go. */
static void threads_prune(struct bs_proc *p, const struct bs_event *ev)
{
	struct bs_lock_thread *t, *next;

	HASH_ITER (hh, p->lock_threads, t, next) {
		taken_forget(t, ev);
		if (t->n)
			continue;
		HASH_DEL(p->lock_threads, t);
		free(t);
	}
	if (HASH_COUNT(p->lock_threads) >= THREADS_MAX)
		threads_forget(p);
	/* So that it is done once for as many that come. */
	p->lock_threads_max = 2 * HASH_COUNT(p->lock_threads);
	if (p->lock_threads_max > THREADS_MAX)
		p->lock_threads_max = THREADS_MAX;
}

static struct bs_lock_thread *thread_get(struct bs_proc *p, const struct bs_event *ev)
{
	struct bs_lock_thread *t;

	HASH_FIND(hh, p->lock_threads, &ev->tid, sizeof(ev->tid), t);
	if (t)
		return t;
	if (HASH_COUNT(p->lock_threads) >= THREADS_IDLE &&
	    HASH_COUNT(p->lock_threads) >= p->lock_threads_max)
		threads_prune(p, ev);
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->tid = ev->tid;
	t->waited = true; /* perhaps, and was forgotten */
	t->forgotten = may_be_forgotten(p, ev->tid);
	HASH_ADD(hh, p->lock_threads, tid, sizeof(t->tid), t);
	return t;
}

/*
 * Somebody has got it, or given back what another one held: so that one does not hold it any more,
 * whatever was missed.  Was there one?
 */
static bool others_end(const struct bs_model *m, struct bs_proc *p, const struct bs_event *ev,
		       bool exclusive)
{
	const struct bs_tie *tie = bs_tie_find(m, p, ev->klass_id, ev->id);
	struct bs_key key = bs_key_of(ev);
	bool ended = false;

	if (!tie || (!exclusive && !tie->nexclusive))
		return false;
	for (uint32_t i = 0; i < tie->nholds; i++) {
		const struct bs_hold *hold = &tie->holds[i];
		struct bs_lock_thread *t;
		struct bs_lock_held *h;

		if (hold->by == ev->arg || hold->since.tid == ev->tid ||
		    (!exclusive && !hold->exclusive))
			continue;
		HASH_FIND(hh, p->lock_threads, &hold->since.tid, sizeof(hold->since.tid), t);
		h = held_find(t, &key);
		/* The tie may have a level that ended when something was lost. */
		if (h && !exclusive && !h->exclusive)
			continue;
		if (h)
			held_taken(h, ev);
		/*
		 * Or that had ended, and what was lost then was the begin of ours; or it begins
		 * behind it, by clocks that differ.
		 */
		ended |= h && bs_seen_since(m, &m->classes[ev->klass_id], h->since.ts_ns) &&
			 !bs_no_order(ev, h->since.tid, h->since.ts_ns);
	}
	return ended;
}

/* --- for how long ----------------------------------------------------------------------------- */

static int use_add(struct bs_model *m, const struct bs_lock_held *h, uint64_t ts_ns)
{
	struct bs_lock_use *u, probe;

	memset(&probe, 0, sizeof(probe));
	probe.key.klass = (uint32_t)h->key.klass;
	probe.key.pin = h->since.place;
	HASH_FIND(hh, m->lock_uses, &probe.key, sizeof(probe.key), u);
	if (!u) {
		if (HASH_COUNT(m->lock_uses) == USES_MAX)
			return 0;
		u = malloc(sizeof(*u));
		if (!u)
			return -ENOMEM;
		*u = probe;
		HASH_ADD(hh, m->lock_uses, key, sizeof(u->key), u);
	}
	return bs_hist_add(&u->held, ts_ns > h->since.ts_ns ? ts_ns - h->since.ts_ns : 0);
}

/* --- marks ------------------------------------------------------------------------------------ */

static int borrow(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev)
{
	bool exclusive = ev->kind == BSCOPE_KIND_BORROW_MUT;
	struct bs_lock_thread *t = thread_get(p, ev);
	struct bs_key key = bs_key_of(ev);
	struct bs_lock_held *h;
	int err = 0;

	if (!t)
		return -ENOMEM;
	others_end(m, p, ev, exclusive);
	taken_forget(t, ev);
	h = held_find(t, &key);
	/*
	 * Or it has it still, and one level more: who has taken it did so behind all of this.  It
	 * keeps others away, until somebody else has it; and nothing else is concluded from it.
	 */
	if (h && h->taken_ns) {
		h->taken_ns = 0;
		h->doubt = h->again = true;
	}
	if (h) {
		h->levels++;
		h->level_ns = ev->ts_ns;
		h->exclusive |= exclusive;
		return 0;
	}
	if (ev->has & BS_EVENT_WAITS && !t->more && !t->forgotten) {
		t->waited |= t->n > 0;
		err = bs_lockcycle_waits(m, p, t, ev);
	}
	if (t->n == BS_LOCK_HELD_MAX) {
		t->more = true;
		return err;
	}
	t->held[t->n++] = (struct bs_lock_held){.key = key,
						.since = bs_evidence_of(m, ev),
						.level_ns = ev->ts_ns,
						.levels = 1,
						.exclusive = exclusive,
						/* Or it is the one before that it has. */
						.doubt = bs_recent_find(&m->relocked, ev)};
	return err;
}

static int unborrow(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev)
{
	struct bs_key key = bs_key_of(ev);
	struct bs_lock_thread *t;
	struct bs_lock_held *h;
	int err = 0;

	HASH_FIND(hh, p->lock_threads, &ev->tid, sizeof(ev->tid), t);
	if (t)
		taken_forget(t, ev);
	h = held_find(t, &key);
	if (!h) {
		/* It was taken unseen, and held during all that was seen: a gate nobody knew of. */
		if (!others_end(m, p, ev, false) && (!t || t->waited)) {
			bs_lockcycle_thread(p, ev->tid);
			if (t)
				t->waited = false;
		}
		return 0;
	}
	if (--h->levels)
		return 0;
	if (h->exclusive && !h->again &&
	    bs_seen_since(m, &m->classes[ev->klass_id], h->since.ts_ns))
		err = use_add(m, h, ev->ts_ns);
	held_remove(t, h);
	return err;
}

/* Another lock is there now, or none. */
static int begins(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev)
{
	struct bs_key key = bs_key_of(ev);
	struct bs_lock_thread *t, *next;

	if (bs_lockcycle_begins(m, p, ev))
		return -ENOMEM;
	if (!bs_tie_find(m, p, ev->klass_id, ev->id))
		return 0;
	HASH_ITER (hh, p->lock_threads, t, next) {
		struct bs_lock_held *h = held_find(t, &key);

		if (h)
			held_taken(h, ev);
	}
	return 0;
}

int bs_lockorder_mark(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev)
{
	switch (ev->kind) {
	case BSCOPE_KIND_BORROW:
	case BSCOPE_KIND_BORROW_MUT:
		return borrow(m, p, ev);
	case BSCOPE_KIND_UNBORROW:
		return unborrow(m, p, ev);
	case BSCOPE_KIND_NEW:
	case BSCOPE_KIND_DROP:
		return begins(m, p, ev);
	default:
		return 0;
	}
}

void bs_lockorder_fini(struct bs_model *m, struct bs_proc *p)
{
	struct bs_lock_thread *t, *next;

	bs_lockcycle_fini(m, p);
	HASH_ITER (hh, p->lock_threads, t, next) {
		HASH_DEL(p->lock_threads, t);
		free(t);
	}
	free(p->lock_forgotten);
	p->lock_forgotten = NULL;
}

void bs_lockorder_free(struct bs_model *m)
{
	struct bs_lock_use *u, *next;

	bs_lockcycle_free(m);
	HASH_ITER (hh, m->lock_uses, u, next) {
		HASH_DEL(m->lock_uses, u);
		bs_hist_fini(&u->held);
		free(u);
	}
}

static int use_cmp(const void *x, const void *y)
{
	const struct bs_lock_row *a = x, *b = y;

	if (a->held.max_ns != b->held.max_ns)
		return a->held.max_ns > b->held.max_ns ? -1 : 1;
	return a->place != b->place ? (a->place > b->place) - (a->place < b->place)
				    : (a->code > b->code) - (a->code < b->code);
}

int bs_model_lock_uses(const struct bs_model *m, struct bs_lock_row **rows, size_t *n)
{
	*n = 0;
	*rows = NULL;
	if (!m->lock_uses)
		return 0;
	*rows = calloc(HASH_COUNT(m->lock_uses), sizeof(**rows));
	if (!*rows)
		return -ENOMEM;
	for (const struct bs_lock_use *u = m->lock_uses; u; u = u->hh.next) {
		struct bs_lock_row *row = &(*rows)[(*n)++];

		row->klass_id = u->key.klass;
		bs_pin_get(m, u->key.pin, &row->place, &row->code);
		row->held = (struct bs_lifetime){
			.count = u->held.count,
			.p50_ns = bs_hist_quantile(&u->held, 50, 100),
			.p90_ns = bs_hist_quantile(&u->held, 90, 100),
			.p99_ns = bs_hist_quantile(&u->held, 99, 100),
			.max_ns = u->held.max,
		};
	}
	qsort(*rows, *n, sizeof(**rows), use_cmp);
	return 0;
}
