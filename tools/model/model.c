/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * model.c - follows objects through their marks.
 *
 * Whether a mark can be understood depends on what was seen before: nothing is assumed about
 * objects older than the attach, and a contradiction (a second new without a drop between)
 * says that a mark was not seen, not that the program erred.
 */
#include "model/model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "bscope/abi.h"
#include "model/state.h"

/* An owner's own are its orphans when tracing ends, if it was dropped so long ago. */
#define ORPHAN_NS 1000000000ull

/* So many events ahead memory is fetched: about as many misses as a core has under way. */
#define AHEAD 8

_Static_assert(BSCOPE_KIND_END <= 16, "struct bs_model_totals.marks");

struct bs_model *bs_model_new(const struct bs_model_opts *opts)
{
	struct bs_model *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	bs_clock_init(&m->clock, opts->start_ns);
	/* Early in a boot there may be no entropy yet: guessable then, but still right. */
	if (getrandom(m->seed, sizeof(m->seed), GRND_NONBLOCK) != (ssize_t)sizeof(m->seed)) {
		struct timespec ts;

		clock_gettime(CLOCK_MONOTONIC, &ts);
		m->seed[0] = (uint64_t)ts.tv_nsec * 0x9e3779b97f4a7c15ull;
		m->seed[1] = (uint64_t)(uintptr_t)m * 0xd6e8feb86659fd93ull;
	}
	return m;
}

void bs_model_free(struct bs_model *m)
{
	if (!m)
		return;
	bs_procs_fini(m);
	bs_findings_fini(m);
	bs_origins_fini(&m->origins);
	for (uint32_t i = 0; i < m->nclasses; i++)
		bs_series_fini(&m->classes[i].unknown_drops);
	free(m->classes);
	free(m->hits);
	free(m->exits);
	free(m);
}

/* Makes room for index i in an array that is 0 where nothing was written. */
static int dense_reserve(void **v, uint32_t *n, uint32_t i, size_t size)
{
	uint32_t cap = *n ? *n : 16;
	char *grown;

	if (i < *n)
		return 0;
	while (cap <= i)
		cap *= 2;
	grown = realloc(*v, cap * size);
	if (!grown)
		return -ENOMEM;
	memset(grown + *n * size, 0, (cap - *n) * size);
	*v = grown;
	*n = cap;
	return 0;
}

static void mark_unknown(struct bs_model *m, uint32_t klass)
{
	m->totals.unknown++;
	m->classes[klass].unknown++;
}

/* An object joins (sign 1) or leaves (-1) what is alive. */
static int live_change(struct bs_model *m, const struct bs_obj *obj, int sign, uint64_t ts_ns)
{
	struct bs_origin *g = &m->origins.v[obj->origin];
	int64_t bytes = sign * (int64_t)obj->bytes;
	int err = bs_series_add(&g->series, &m->clock, ts_ns, bytes, sign);

	if (err)
		return err;
	g->live += (uint64_t)(int64_t)sign;
	g->live_bytes += (uint64_t)bytes;
	m->totals.live += (uint64_t)(int64_t)sign;
	m->totals.live_bytes += (uint64_t)bytes;
	return 0;
}

static uint64_t clamp_bytes(uint64_t bytes)
{
	return bytes < BS_OBJ_MAX_BYTES ? bytes : BS_OBJ_MAX_BYTES;
}

static int recent_add(struct bs_recent *r, const struct bs_event *ev, uint64_t to)
{
	uint32_t old = 0;

	while (old < r->n && ev->ts_ns > r->v[old].ts_ns + BS_MODEL_SKEW_NS)
		old++;
	if (old) {
		r->n -= old;
		memmove(r->v, r->v + old, r->n * sizeof(*r->v));
	}
	if (r->n == r->cap) {
		uint32_t cap = r->cap ? r->cap * 2 : 16;
		struct bs_moment *v = reallocarray(r->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		r->v = v;
		r->cap = cap;
	}
	r->v[r->n++] = (struct bs_moment){
		.key = {.id = ev->id, .klass = ev->klass_id},
		.pid = ev->pid,
		.tid = ev->tid,
		.ts_ns = ev->ts_ns,
		.to = to,
	};
	return 0;
}

/* One on the same object that has no order with this mark; NULL if there is none. */
static struct bs_moment *recent_find(const struct bs_recent *r, const struct bs_event *ev)
{
	for (uint32_t i = r->n; i-- > 0;) {
		struct bs_moment *at = &r->v[i];

		if (at->key.id == ev->id && at->key.klass == ev->klass_id && at->pid == ev->pid &&
		    bs_no_order(ev, at->tid, at->ts_ns))
			return at;
	}
	return NULL;
}

/* One on the same object, of any thread, not longer ago. */
static bool recent_any(const struct bs_recent *r, const struct bs_event *ev, uint64_t ns)
{
	for (uint32_t i = r->n; i-- > 0;) {
		const struct bs_moment *at = &r->v[i];

		if (at->key.id == ev->id && at->key.klass == ev->klass_id && at->pid == ev->pid &&
		    (ev->ts_ns < at->ts_ns || ev->ts_ns - at->ts_ns <= ns))
			return true;
	}
	return false;
}

static bool recent_take(struct bs_recent *r, const struct bs_event *ev)
{
	struct bs_moment *at = recent_find(r, ev);

	if (!at)
		return false;
	r->n--;
	memmove(at, at + 1, (size_t)(&r->v[r->n] - at) * sizeof(*at));
	return true;
}

/* The object whose resize has begun under that id, by whomever; NULL if there is none. */
static struct bs_pending *pending_of(const struct bs_proc *p, const struct bs_event *ev)
{
	for (uint32_t i = p->npending; i-- > 0;) {
		struct bs_pending *e = &p->pending[i];

		if (e->obj.id == ev->id && e->obj.klass == ev->klass_id)
			return e;
	}
	return NULL;
}

/* The id of one in its resize is another object's from now on. */
static void pending_replace(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev)
{
	struct bs_pending *e = pending_of(p, ev);

	if (!e || e->replaced)
		return;
	e->replaced = true;
	e->tie = bs_tie_detach(m, p, ev->klass_id, ev->id);
}

/* Had another object that id a moment ago, before its resize? */
static bool resized_from(const struct bs_model *m, const struct bs_proc *p,
			 const struct bs_event *ev)
{
	const struct bs_pending *e = pending_of(p, ev);

	if (e && ev->ts_ns - e->begin_ns <= 2 * BS_MODEL_SKEW_NS)
		return true;
	return recent_any(&m->resized, ev, 2 * BS_MODEL_SKEW_NS);
}

/*
 * The slot for an object that now holds ev->id.  One that is still there under this id has gone
 * without our seeing it.
 */
static struct bs_obj *take_id(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev,
			      uint64_t hash)
{
	bool found;
	struct bs_obj *obj = bs_objects_put(&p->objects, hash, ev->klass_id, ev->id, &found);

	if (!obj)
		return NULL;
	/* What is known of who borrows and owns it was of another; which may be in its resize. */
	pending_replace(m, p, ev);
	if (m->classes[ev->klass_id].nties)
		bs_tie_remove(m, p, ev->klass_id, ev->id);
	if (!found)
		return obj;
	if (obj->flags & BS_OBJ_DEAD) {
		bool fresh = ev->ts_ns - obj->birth_ns <= 2 * BS_MODEL_SKEW_NS;
		bool doubt = obj->flags & BS_OBJ_DOUBT ||
			     bs_no_order(ev, (uint32_t)obj->bytes, obj->birth_ns);

		/* It may have been alive; or it was this one that was dropped. */
		if (doubt && recent_add(&m->twins, ev, 0))
			return NULL;
		if (fresh && (uint32_t)obj->bytes == ev->tid && recent_add(&m->fresh, ev, 0))
			return NULL;
		bs_objects_revive(&p->objects, hash, obj);
		obj->flags =
			(fresh ? BS_OBJ_FRESH : 0) | (doubt ? BS_OBJ_UNSURE | BS_OBJ_DOUBT : 0);
		return obj;
	}
	if (live_change(m, obj, -1, ev->ts_ns) || recent_add(&m->twins, ev, 0))
		return NULL;
	m->totals.vanished++;
	mark_unknown(m, ev->klass_id);
	obj->flags = BS_OBJ_TWIN;
	obj->refs = 0;
	return obj;
}

static int object_new(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev,
		      uint64_t hash)
{
	uint32_t origin = bs_origin_intern(&m->origins, ev->klass_id, ev->place, ev->code);
	struct bs_obj *obj, gone;
	int err;

	if (origin == UINT32_MAX)
		return -ENOMEM;
	obj = take_id(m, p, ev, hash);
	if (!obj)
		return -ENOMEM;
	obj->birth_ns = ev->ts_ns;
	obj->bytes = ev->has & BS_EVENT_HAS_BYTES ? clamp_bytes(ev->arg) : 0;
	obj->origin = origin;
	if (resized_from(m, p, ev))
		obj->flags |= BS_OBJ_FRESH;
	/* What was said of it a moment ago may have been said of this one. */
	if (m->explained)
		obj->flags |= BS_OBJ_UNSURE | BS_OBJ_DOUBT;
	else if (recent_find(&m->marks, ev))
		obj->flags |= BS_OBJ_UNSURE;
	err = live_change(m, obj, 1, ev->ts_ns);
	if (err) {
		bs_objects_take(&p->objects, hash, ev->klass_id, ev->id, &gone);
		return err;
	}
	m->origins.v[origin].created++;
	m->totals.created++;
	return p->nregions ? bs_region_birth(m, p, ev) : 0;
}

static int lifetime_add(struct bs_model *m, const struct bs_obj *obj, uint64_t ts_ns)
{
	struct bs_origin *g = &m->origins.v[obj->origin];

	/* How long it had lived before its resize made it known, nobody knows. */
	if (obj->flags & BS_OBJ_ADOPTED)
		return 0;
	if (!g->lifetime)
		g->lifetime = calloc(1, sizeof(*g->lifetime));
	if (!g->lifetime)
		return -ENOMEM;
	return bs_hist_add(g->lifetime, ts_ns > obj->birth_ns ? ts_ns - obj->birth_ns : 0);
}

static void pending_remove(struct bs_proc *p, uint32_t i)
{
	p->npending--;
	memmove(&p->pending[i], &p->pending[i + 1], (p->npending - i) * sizeof(*p->pending));
}

/*
 * The resize that this thread has begun in this class: the one of this id if there is one (the
 * object has not moved), else the one begun last.  UINT32_MAX if none.
 */
static uint32_t pending_find(const struct bs_proc *p, const struct bs_event *ev, bool id_only)
{
	uint32_t last = UINT32_MAX;

	for (uint32_t i = p->npending; i-- > 0;) {
		const struct bs_pending *e = &p->pending[i];

		if (e->tid != ev->tid || e->obj.klass != ev->klass_id)
			continue;
		if (e->obj.id == ev->id)
			return i;
		if (last == UINT32_MAX)
			last = i;
	}
	return id_only ? UINT32_MAX : last;
}

static int object_gone(struct bs_model *m, const struct bs_obj *obj, uint64_t ts_ns)
{
	int err = live_change(m, obj, -1, ts_ns);

	if (err)
		return err;
	m->origins.v[obj->origin].dropped++;
	m->totals.dropped++;
	return lifetime_add(m, obj, ts_ns);
}

static struct bs_key key_of(const struct bs_event *ev)
{
	return (struct bs_key){.id = ev->id, .klass = ev->klass_id};
}

/* How a dead object died. */
static struct bs_evidence death_of(const struct bs_obj *dead)
{
	return (struct bs_evidence){
		.place = dead->origin, .tid = (uint32_t)dead->bytes, .ts_ns = dead->birth_ns};
}

static int mark_after_drop(struct bs_model *m, const struct bs_event *ev, const struct bs_obj *dead)
{
	struct bs_evidence drop = death_of(dead);

	/* A borrow that nobody saw begin may have been in force then. */
	if ((ev->kind == BSCOPE_KIND_UNBORROW && !(dead->flags & BS_OBJ_WHOLE)) ||
	    dead->flags & BS_OBJ_DOUBT || bs_no_order(ev, drop.tid, drop.ts_ns)) {
		bs_undecided(m);
		return 0;
	}
	return bs_suspect(m, BS_VERDICT_USE_AFTER_DROP, ev, key_of(ev), drop, drop.ts_ns, 0, 0);
}

/* Is anything wrong with dropping it now? */
static int drop_check(struct bs_model *m, const struct bs_proc *p, const struct bs_event *ev,
		      const struct bs_obj *obj, const struct bs_tie *tie)
{
	int err = 0;

	if (tie && tie->nholds) {
		const struct bs_hold *hold = &tie->holds[0];

		if (bs_no_order(ev, hold->since.tid, hold->since.ts_ns))
			bs_undecided(m);
		else
			err = bs_suspect(
				m, BS_VERDICT_DROP_WHILE_BORROWED, ev, key_of(ev), hold->since,
				bs_proof_ns(m, p, key_of(ev), hold->since.ts_ns), hold->by, 0);
	}
	if (err || !obj || !(obj->flags & BS_OBJ_COUNTED) || obj->refs == -1)
		return err;
	if (obj->flags & (BS_OBJ_UNSURE | BS_OBJ_ADOPTED) || recent_find(&m->marks, ev)) {
		bs_undecided(m);
		return 0;
	}
	err = bs_suspect(m, BS_VERDICT_UNBALANCED_COUNT, ev, key_of(ev),
			 (struct bs_evidence){.place = m->origins.v[obj->origin].place,
					      .ts_ns = obj->birth_ns},
			 obj->birth_ns, 0, 0);
	if (!err)
		m->suspects[m->nsuspects - 1].row.balance = 1 + obj->refs;
	return err;
}

/* What is not known dies, too: what is said of it afterwards is wrong all the same. */
static int unknown_drop(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev,
			uint64_t hash, struct bs_obj *dead)
{
	bool found;

	mark_unknown(m, ev->klass_id);
	if (dead) {
		dead->birth_ns = ev->ts_ns;
		dead->bytes = ev->tid;
		dead->origin = ev->place;
		dead->flags = BS_OBJ_DEAD;
	} else {
		dead = bs_objects_put(&p->objects, hash, ev->klass_id, ev->id, &found);
		if (!dead)
			return -ENOMEM;
		bs_objects_bury(&p->objects, hash, dead, ev->place, ev->tid, ev->ts_ns);
	}
	return bs_series_add(&m->classes[ev->klass_id].unknown_drops, &m->clock, ev->ts_ns, 0, 1);
}

/* What is to be known of it when it is dead. */
static uint8_t dead_flags(const struct bs_model *m, const struct bs_event *ev,
			  const struct bs_obj *obj)
{
	uint8_t flags = obj->flags & BS_OBJ_DOUBT;

	/* Perhaps it was its twin that was dropped. */
	if (recent_any(&m->twins, ev, BS_MODEL_SKEW_NS))
		flags |= BS_OBJ_DOUBT;
	if (!(obj->flags & BS_OBJ_ADOPTED) && obj->birth_ns > m->loss_ns &&
	    obj->birth_ns > m->classes[ev->klass_id].gap_ns)
		flags |= BS_OBJ_WHOLE;
	return flags;
}

static int object_drop(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev,
		       uint64_t hash)
{
	struct bs_obj *obj = bs_objects_find(&p->objects, hash, ev->klass_id, ev->id);
	const struct bs_tie *tie = bs_tie_find(m, p, ev->klass_id, ev->id);
	struct bs_pending *e;
	struct bs_obj gone;
	int err;

	if (!obj || obj->flags & BS_OBJ_DEAD) {
		uint32_t i = p->npending ? pending_find(p, ev, true) : UINT32_MAX;

		/* Dropped instead of the end of its resize: the program gave up in between. */
		if (i != UINT32_MAX) {
			struct bs_pending given_up = p->pending[i];

			pending_remove(p, i);
			bs_tie_free(given_up.tie);
			if (given_up.known)
				return object_gone(m, &given_up.obj, ev->ts_ns);
		}
	}
	e = pending_of(p, ev);
	if (e && e->known && bs_no_order(ev, e->tid, e->begin_ns)) {
		bs_undecided(m);
		if (obj && !(obj->flags & BS_OBJ_DEAD)) {
			/* Either, and which of them is being resized is not known either. */
			obj->flags |= BS_OBJ_DOUBT | BS_OBJ_UNSURE;
			e->obj.flags |= BS_OBJ_DOUBT | BS_OBJ_UNSURE;
			return 0;
		}
		/* What is being resized is the next one of that id, then. */
		pending_replace(m, p, ev);
		bs_tie_free(e->tie);
		e->tie = NULL;
		e->known = false;
		return object_gone(m, &e->obj, ev->ts_ns);
	}
	/* Of the object before, whose end was late. */
	if (obj && recent_take(&m->twins, ev)) {
		bs_undecided(m);
		return 0;
	}
	if (obj && obj->flags & BS_OBJ_DEAD) {
		struct bs_evidence drop = death_of(obj);

		err = 0;
		if (obj->flags & BS_OBJ_DOUBT)
			bs_undecided(m);
		else
			err = bs_suspect(m, BS_VERDICT_DOUBLE_DROP, ev, key_of(ev), drop,
					 drop.ts_ns, 0, 0);
		return err ? err : unknown_drop(m, p, ev, hash, obj);
	}
	err = drop_check(m, p, ev, obj, tie);
	if (obj && p->holders)
		bs_ties_holder_gone(m, p, ev);
	if (!err)
		err = bs_tie_drop(m, p, ev->klass_id, ev->id);
	if (err)
		return err;
	if (!obj)
		return unknown_drop(m, p, ev, hash, NULL);
	gone = *obj;
	obj->flags = dead_flags(m, ev, &gone);
	bs_objects_bury(&p->objects, hash, obj, ev->place, ev->tid, ev->ts_ns);
	return object_gone(m, &gone, ev->ts_ns);
}

/* The drop before, the new and this mark are of one thread: their order is certain. */
static bool one_thread(const struct bs_model *m, const struct bs_event *ev)
{
	for (uint32_t i = m->fresh.n; i-- > 0;) {
		const struct bs_moment *at = &m->fresh.v[i];

		if (at->key.id == ev->id && at->key.klass == ev->klass_id && at->pid == ev->pid)
			return at->tid == ev->tid;
	}
	return false;
}

/* The one that had the id before may be meant. */
static bool may_be_another(const struct bs_model *m, const struct bs_obj *obj,
			   const struct bs_event *ev)
{
	if ((obj->flags & (BS_OBJ_FRESH | BS_OBJ_TWIN | BS_OBJ_DOUBT)) == BS_OBJ_FRESH &&
	    one_thread(m, ev))
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
					   !recent_find(&m->marks, ev));
	case BSCOPE_KIND_BORROW:
	case BSCOPE_KIND_BORROW_MUT:
		return bs_tie_borrow(m, p, ev, ev->kind == BSCOPE_KIND_BORROW_MUT);
	case BSCOPE_KIND_USE:
		return bs_tie_use(m, p, ev);
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
	const struct bs_moment *to = recent_find(&m->resized, ev);
	struct bs_pending *e = pending_of(p, ev);

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

/* A mark that either that one may mean, or the one that has the id now, or that will have it. */
static int either_mark(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev,
		       struct bs_obj *obj, const struct resized *r)
{
	int ret;

	switch (ev->kind) {
	case BSCOPE_KIND_UNBORROW:
		ret = bs_tie_unborrow(m, p, ev);
		if (!ret && r->tie)
			ret = bs_hold_end(m, p, r->tie, ev);
		return ret < 0 ? ret : 0;
	case BSCOPE_KIND_BORROW:
	case BSCOPE_KIND_BORROW_MUT:
		/* If it is the other's, its end will be, too. */
		if (obj)
			return bs_tie_borrow(m, p, ev, ev->kind == BSCOPE_KIND_BORROW_MUT);
		break;
	case BSCOPE_KIND_MOVE:
		if (obj)
			obj->flags |= BS_OBJ_MOVED;
		if (r->obj)
			r->obj->flags |= BS_OBJ_MOVED;
		if (r->tie)
			r->tie->owned = false;
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

/* Marks that neither begin nor end a life. */
static int object_mark(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev,
		       uint64_t hash)
{
	bool counts = ev->kind == BSCOPE_KIND_RETAIN || ev->kind == BSCOPE_KIND_RELEASE;
	struct bs_obj *obj = bs_objects_find(&p->objects, hash, ev->klass_id, ev->id);
	bool alive = obj && !(obj->flags & BS_OBJ_DEAD);
	const struct bs_pending *e;
	struct resized r;

	if ((counts || ev->kind == BSCOPE_KIND_MOVE) && recent_add(&m->marks, ev, 0))
		return -ENOMEM;
	r = resized_find(m, p, ev);
	if (r.found)
		return either_mark(m, p, ev, alive ? obj : NULL, &r);
	if (!alive)
		mark_unknown(m, ev->klass_id);
	e = alive ? NULL : pending_of(p, ev);
	if (e && !e->replaced && e->tid != ev->tid) {
		/* Of one that gets its id, and whose new is still to come. */
		bs_undecided(m);
		return 0;
	}
	if (ev->kind == BSCOPE_KIND_UNBORROW) {
		int ret = bs_tie_unborrow(m, p, ev);

		if (ret)
			return ret < 0 ? ret : 0;
	}
	if (obj && !alive)
		return mark_after_drop(m, ev, obj);
	if (counts && alive)
		count_change(m, obj, ev, ev->kind == BSCOPE_KIND_RETAIN ? 1 : -1);
	return counts ? 0 : tie_mark(m, p, ev, alive ? obj : NULL);
}

/* The oldest resize is given up: whose thread has died in it, most likely. */
static int pending_evict(struct bs_model *m, struct bs_proc *p, uint64_t ts_ns)
{
	struct bs_pending e = p->pending[0];

	pending_remove(p, 0);
	bs_tie_free(e.tie);
	if (!e.known)
		return 0;
	m->totals.vanished++;
	mark_unknown(m, e.obj.klass);
	return live_change(m, &e.obj, -1, ts_ns);
}

/*
 * The object leaves the table: from here on the allocator may give its old id to another thread,
 * whose new is then no contradiction.  It stays alive meanwhile.
 */
static int resize_begin(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev,
			uint64_t hash)
{
	struct bs_pending *e;
	struct bs_tie *tie;
	bool doubt;
	int err = 0;

	e = pending_of(p, ev);
	if (e && bs_no_order(ev, e->tid, e->begin_ns)) {
		/* Two of that id: which of them was the first? */
		pending_replace(m, p, ev);
		bs_tie_free(e->tie);
		e->tie = NULL;
		e->obj.flags |= BS_OBJ_DOUBT | BS_OBJ_UNSURE;
	}
	pending_replace(m, p, ev);
	if (p->npending == BS_MODEL_MAX_PENDING)
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
	/* Of the object before, which was taken for gone; or of this one. */
	if (recent_take(&m->twins, ev)) {
		struct bs_obj *twin = bs_objects_find(&p->objects, hash, ev->klass_id, ev->id);

		if (twin)
			twin->flags |= BS_OBJ_DOUBT | BS_OBJ_UNSURE;
		e->obj.id = ev->id;
		e->obj.klass = ev->klass_id & BS_MODEL_MAX_DENSE;
		e->replaced = true;
		bs_undecided(m);
		return err;
	}
	/* What others said of it just now, they may have said of who gets its id. */
	doubt = recent_find(&m->marks, ev);
	if (doubt && (tie = bs_tie_find(m, p, ev->klass_id, ev->id)))
		tie->owned = false;
	e->known = bs_objects_take(&p->objects, hash, ev->klass_id, ev->id, &e->obj);
	if (doubt)
		e->obj.flags |= BS_OBJ_UNSURE;
	if (!e->known) {
		const struct bs_obj *dead =
			bs_objects_find(&p->objects, hash, ev->klass_id, ev->id);

		e->obj.id = ev->id;
		e->obj.klass = ev->klass_id & BS_MODEL_MAX_DENSE;
		mark_unknown(m, ev->klass_id);
		if (dead && !err)
			err = mark_after_drop(m, ev, dead);
	}
	return err;
}

/*
 * An object that existed before anybody looked is known from now on.  Its bytes are alive, but
 * they did not grow here: they stay out of the series, and what it changes by later goes in.
 */
static int adopt(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev, uint64_t hash)
{
	uint32_t origin = bs_origin_intern(&m->origins, ev->klass_id, ev->place, ev->code);
	struct bs_origin *g;
	struct bs_obj *obj;

	if (origin == UINT32_MAX)
		return -ENOMEM;
	obj = take_id(m, p, ev, hash);
	if (!obj)
		return -ENOMEM;
	obj->birth_ns = ev->ts_ns;
	obj->bytes = ev->has & BS_EVENT_HAS_BYTES ? clamp_bytes(ev->arg) : 0;
	obj->flags |= BS_OBJ_ADOPTED;
	obj->origin = origin;
	g = &m->origins.v[origin];
	g->live++;
	g->live_bytes += obj->bytes;
	m->totals.adopted++;
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

	if (recent_find(&m->marks, ev)) {
		e->obj.flags |= BS_OBJ_UNSURE;
		if (e->tie)
			e->tie->owned = false;
	}
	begin.ts_ns = e->begin_ns;
	begin.id = e->obj.id;
	return e->obj.id == ev->id ? 0 : recent_add(&m->resized, &begin, ev->id);
}

static int resize_end(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev,
		      uint64_t hash)
{
	uint32_t i = pending_find(p, ev, false);
	struct bs_pending e;
	struct bs_origin *g;
	struct bs_obj *obj;
	uint64_t bytes, delta;

	if (i == UINT32_MAX) {
		/* Its begin was before the attach. */
		mark_unknown(m, ev->klass_id);
		return adopt(m, p, ev, hash);
	}
	e = p->pending[i];
	pending_remove(p, i);
	/* Its ties wait under its old id, unless somebody else has that by now. */
	if (!e.replaced)
		e.tie = bs_tie_detach(m, p, ev->klass_id, e.obj.id);
	if (resized(m, ev, &e)) {
		bs_tie_free(e.tie);
		return -ENOMEM;
	}
	obj = bs_objects_find(&p->objects, hash, ev->klass_id, ev->id);
	if (obj &&
	    (!(obj->flags & BS_OBJ_DEAD) || bs_no_order(ev, (uint32_t)obj->bytes, obj->birth_ns))) {
		/* Perhaps it was this one that was dropped, and the other that is. */
		bs_tie_free(e.tie);
		e.tie = NULL;
		e.obj.flags |= BS_OBJ_DOUBT | BS_OBJ_UNSURE;
	}
	if (!e.known) {
		int err = adopt(m, p, ev, hash);

		if (!err && e.tie)
			return bs_tie_attach(m, p, e.tie, ev->id);
		bs_tie_free(e.tie);
		return err;
	}

	obj = take_id(m, p, ev, hash);
	if (!obj) {
		bs_tie_free(e.tie);
		live_change(m, &e.obj, -1, ev->ts_ns);
		return -ENOMEM;
	}
	if (e.tie && bs_tie_attach(m, p, e.tie, ev->id))
		return -ENOMEM;
	if (p->nregions)
		bs_region_rename(p, ev, e.obj.id, e.obj.birth_ns);
	obj->birth_ns = e.obj.birth_ns;
	obj->bytes = e.obj.bytes;
	obj->refs = e.obj.refs;
	/* Another had that id: what is said of it now may be said of that. */
	obj->flags = e.obj.flags | (obj->flags & BS_OBJ_TWIN ? BS_OBJ_UNSURE : 0u);
	obj->origin = e.obj.origin;
	if (!(ev->has & BS_EVENT_HAS_BYTES))
		return 0;
	bytes = clamp_bytes(ev->arg);
	delta = bytes - obj->bytes;
	g = &m->origins.v[obj->origin];
	if (bs_series_add(&g->series, &m->clock, ev->ts_ns, (int64_t)delta, 0))
		return -ENOMEM;
	obj->bytes = bytes;
	g->live_bytes += delta;
	m->totals.live_bytes += delta;
	return 0;
}

static int mark(struct bs_model *m, const struct bs_event *ev, uint64_t hash)
{
	struct bs_proc *p;
	int err;

	if (ev->kind < BSCOPE_KIND_NEW || ev->kind >= BSCOPE_KIND_END || !ev->klass_id ||
	    ev->klass_id > BS_MODEL_MAX_DENSE || !ev->place || ev->place > BS_MODEL_MAX_DENSE)
		return -EINVAL;
	if (ev->place >= m->nhits || ev->klass_id >= m->nclasses) {
		err = dense_reserve((void **)&m->hits, &m->nhits, ev->place, sizeof(*m->hits));
		if (!err)
			err = dense_reserve((void **)&m->classes, &m->nclasses, ev->klass_id,
					    sizeof(*m->classes));
		if (err)
			return err;
	}
	p = m->recent && m->recent->pid == ev->pid ? m->recent : bs_proc_get(m, ev->pid);
	if (!p)
		return -ENOMEM;

	if (m->nsuspects) {
		err = bs_suspects_decide(m, ev->ts_ns);
		if (err)
			return err;
		m->explained = bs_suspects_explain(m, ev);
	} else {
		m->explained = false;
	}
	m->hits[ev->place]++;
	m->totals.marks[ev->kind]++;
	switch (ev->kind) {
	case BSCOPE_KIND_NEW:
		return object_new(m, p, ev, hash);
	case BSCOPE_KIND_DROP:
		return object_drop(m, p, ev, hash);
	case BSCOPE_KIND_RESIZE_BEGIN:
		return resize_begin(m, p, ev, hash);
	case BSCOPE_KIND_RESIZE_END:
		return resize_end(m, p, ev, hash);
	/* A region need not be an object: entering it is its beginning. */
	case BSCOPE_KIND_REGION_ENTER:
		return bs_region_enter(p, ev);
	case BSCOPE_KIND_REGION_EXIT:
		return bs_region_exit(m, p, ev);
	default:
		return object_mark(m, p, ev, hash);
	}
}

/* hash: of the object, if it is a mark. */
static int event(struct bs_model *m, const struct bs_event *ev, uint64_t hash)
{
	struct bs_proc *p;
	int err;

	/* What comes late may explain anything that was seen before it. */
	if (ev->ts_ns + BS_MODEL_SKEW_NS < m->clock.start_ns + m->clock.elapsed_ns)
		m->loss_ns = m->clock.start_ns + m->clock.elapsed_ns;
	bs_clock_advance(&m->clock, ev->ts_ns);
	switch (ev->type) {
	case BS_EVENT_MARK:
		return mark(m, ev, hash);
	case BS_EVENT_FORK:
		/*
		 * The child starts empty: what it inherits was seen to be made by its parent.  A
		 * process of its pid that is still known has ended unseen.
		 */
		if (ev->arg > UINT32_MAX)
			return -EINVAL;
		p = bs_proc_find(m, (uint32_t)ev->arg);
		return p ? bs_proc_end(m, p, ev->ts_ns) : 0;
	case BS_EVENT_EXEC:
		p = bs_proc_find(m, ev->pid);
		return p ? bs_proc_end(m, p, ev->ts_ns) : 0;
	case BS_EVENT_EXIT:
		p = bs_proc_find(m, ev->pid);
		if (!p)
			return 0;
		err = bs_proc_end(m, p, ev->ts_ns);
		bs_proc_forget(m, p);
		return err;
	default:
		return -EINVAL;
	}
}

static uint64_t hash_of(const struct bs_model *m, const struct bs_event *ev)
{
	return bs_objects_hash(m->seed, ev->klass_id, ev->id);
}

int bs_model_event(struct bs_model *m, const struct bs_event *ev)
{
	return event(m, ev, hash_of(m, ev));
}

/* Of so many events at once the hashes are kept. */
#define BATCH 64u

/* What event i will look at. */
static const struct bs_objects *objects_of(struct bs_model *m, const struct bs_event *v, size_t n,
					   size_t i)
{
	const struct bs_proc *p =
		i < n && v[i].type == BS_EVENT_MARK ? bs_proc_find(m, v[i].pid) : NULL;

	return p ? &p->objects : NULL;
}

static int batch(struct bs_model *m, const struct bs_event *v, size_t n)
{
	const struct bs_objects *o;
	uint64_t hash[BATCH];
	int err = 0;

	for (size_t i = 0; i < n; i++) {
		hash[i] = hash_of(m, &v[i]);
		if ((o = objects_of(m, v, n, i)))
			bs_objects_fetch_tags(o, hash[i]);
	}
	for (size_t i = 0; i < n && i < AHEAD; i++)
		if ((o = objects_of(m, v, n, i)))
			bs_objects_fetch(o, hash[i]);
	for (size_t i = 0; i < n && !err; i++) {
		if ((o = objects_of(m, v, n, i + AHEAD)))
			bs_objects_fetch(o, hash[i + AHEAD]);
		err = event(m, &v[i], hash[i]);
	}
	return err;
}

int bs_model_events(struct bs_model *m, const struct bs_event *v, size_t n)
{
	int err = 0;

	for (size_t i = 0; i < n && !err; i += BATCH)
		err = batch(m, v + i, n - i < BATCH ? n - i : BATCH);
	return err;
}

int bs_model_tick(struct bs_model *m, uint64_t now_ns)
{
	bs_clock_advance(&m->clock, now_ns);
	return 0;
}

void bs_model_loss(struct bs_model *m, uint64_t ts_ns, uint64_t count)
{
	bs_clock_advance(&m->clock, ts_ns);
	m->totals.lost += count;
	if (ts_ns > m->loss_ns)
		m->loss_ns = ts_ns;
}

int bs_model_class(struct bs_model *m, uint32_t klass_id, bool has_new, uint64_t gap_ns)
{
	int err;

	if (!klass_id || klass_id > BS_MODEL_MAX_DENSE)
		return -EINVAL;
	err = dense_reserve((void **)&m->classes, &m->nclasses, klass_id, sizeof(*m->classes));
	if (err)
		return err;
	m->classes[klass_id].has_new |= has_new;
	if (gap_ns > m->classes[klass_id].gap_ns)
		m->classes[klass_id].gap_ns = gap_ns;
	return 0;
}

int bs_model_end(struct bs_model *m)
{
	uint64_t now = m->clock.start_ns + m->clock.elapsed_ns;
	int err = 0;

	for (uint32_t i = 0; i < m->nbuckets && !err; i++)
		for (struct bs_proc *p = m->buckets[i]; p && !err; p = p->next)
			err = bs_ties_end(m, p, now, ORPHAN_NS);
	return err ? err : bs_suspects_decide(m, UINT64_MAX);
}

void bs_model_totals(const struct bs_model *m, struct bs_model_totals *out)
{
	*out = m->totals;
}

uint64_t bs_model_hits(const struct bs_model *m, uint32_t place)
{
	return place < m->nhits ? m->hits[place] : 0;
}
