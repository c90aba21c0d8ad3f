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
#include "bscope/buffer.h"
#include "model/state.h"

/*
 * Memory is fetched ahead, in steps of so many events, about as many misses as a core has under
 * way: first the tags, in the next step the objects that these point at.
 */
#define STEP 8u

_Static_assert(BSCOPE_KIND_END <= 16, "struct bs_model_totals.marks");

struct bs_model *bs_model_new(const struct bs_model_opts *opts)
{
	struct bs_model *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	bs_clock_init(&m->clock, opts->start_ns);
	m->coarse_ns = opts->coarse_ns;
	m->lasting = opts->lasting;
	m->lasting_ctx = opts->lasting_ctx;
	m->caller = opts->caller;
	m->caller_ctx = opts->caller_ctx;
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
	bs_lockorder_free(m);
	bs_pins_fini(m);
	free(m->sweepers);
	free(m->vforks);
	bs_origins_fini(&m->origins);
	for (uint32_t i = 0; i < m->nclasses; i++)
		bs_series_fini(&m->classes[i].unknown_drops);
	free(m->classes);
	free(m->hits);
	free(m->births);
	free(m->births_at);
	for (size_t i = 0; i < m->nexits; i++)
		free(m->exits[i].left);
	free(m->exits);
	free(m->rates);
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

/* An object comes to an id, or leaves it. */
static bool is_life(uint8_t kind)
{
	return kind == BSCOPE_KIND_NEW || kind == BSCOPE_KIND_DROP ||
	       kind == BSCOPE_KIND_RESIZE_BEGIN || kind == BSCOPE_KIND_RESIZE_END;
}

static int mark(struct bs_model *m, const struct bs_event *ev, uint64_t hash)
{
	struct bs_event in_order;
	const struct bs_class *c;
	struct bs_proc *p;
	int err;

	if (ev->kind < BSCOPE_KIND_NEW || ev->kind >= BSCOPE_KIND_END || !ev->klass_id ||
	    !ev->place)
		return -EINVAL;
	if (ev->place >= m->nhits || ev->klass_id >= m->nclasses) {
		if (ev->klass_id > BS_MODEL_MAX_DENSE || ev->place > BS_MODEL_MAX_DENSE)
			return -EINVAL;
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
		/* With coarse stamps each mark is in order, or its class has no suspects. */
		m->explained = !m->coarse_ns && bs_suspects_explain(m, ev);
	} else {
		m->explained = false;
	}
	if (m->coarse_ns) {
		bs_coarse_mark(m, ev);
		in_order = *ev;
		in_order.has |= BS_EVENT_IN_ORDER;
		ev = &in_order;
	}
	m->hits[ev->place]++;
	m->totals.marks[ev->kind]++;
	c = &m->classes[ev->klass_id];
	if (c->locks) {
		err = bs_lockorder_mark(m, p, ev);
		if (err)
			return err;
	}
	if (m->has_regions && is_life(ev->kind)) {
		err = bs_region_life(m, p, ev);
		if (err)
			return err;
	}
	/* The two that most marks are, before a jump that nobody can guess. */
	if (ev->kind == BSCOPE_KIND_NEW)
		return bs_object_new(m, p, c, ev, hash);
	if (ev->kind == BSCOPE_KIND_DROP)
		return bs_object_drop(m, p, c, ev, hash);
	switch (ev->kind) {
	case BSCOPE_KIND_RESIZE_BEGIN:
		return bs_resize_begin(m, p, ev, hash);
	case BSCOPE_KIND_RESIZE_END:
		return bs_resize_end(m, p, ev, hash);
	/* A region need not be an object: entering it is its beginning. */
	case BSCOPE_KIND_REGION_ENTER:
		return bs_region_enter(m, p, ev);
	case BSCOPE_KIND_REGION_EXIT:
		return bs_region_exit(m, p, ev);
	default:
		return bs_object_mark(m, p, ev, hash);
	}
}

/* hash: of the object, if there is one. */
static int event(struct bs_model *m, const struct bs_event *ev, uint64_t hash)
{
	uint64_t now_ns = m->clock.start_ns + m->clock.elapsed_ns;
	struct bs_event of_memory;
	struct bs_proc *p;
	int err;

	if (ev->ts_ns >= now_ns)
		bs_clock_advance(&m->clock, ev->ts_ns);
	/* What comes late may explain anything that was seen before it. */
	else if (now_ns - ev->ts_ns > BS_MODEL_SKEW_NS)
		m->loss_ns = now_ns;
	if (m->nvforks && (ev->type == BS_EVENT_MARK || ev->type == BS_EVENT_FORGOTTEN))
		ev = bs_vfork_mark(m, ev, &of_memory);
	if (ev->type == BS_EVENT_MARK)
		return mark(m, ev, hash);
	switch (ev->type) {
	case BS_EVENT_FORK:
		/*
		 * The child starts empty: what it inherits was seen to be made by its parent.  A
		 * process of its pid that is still known has ended unseen.
		 */
		if (ev->arg > UINT32_MAX)
			return -EINVAL;
		bs_vfork_end(m, (uint32_t)ev->arg);
		p = bs_proc_find(m, (uint32_t)ev->arg);
		err = p ? bs_proc_end(m, p, ev->ts_ns) : 0;
		return !err && ev->id ? bs_vfork_begin(m, ev) : err;
	case BS_EVENT_EXEC:
		bs_vfork_end(m, ev->pid);
		p = bs_proc_find(m, ev->pid);
		err = p ? bs_proc_end(m, p, ev->ts_ns) : 0;
		if (!err && ev->has & BS_EVENT_HEARD)
			err = bs_proc_heard(m, ev->pid, ev->ts_ns);
		return err;
	case BS_EVENT_EXIT:
		bs_vfork_end(m, ev->pid);
		p = bs_proc_find(m, ev->pid);
		if (!p)
			return 0;
		err = bs_proc_end(m, p, ev->ts_ns);
		bs_proc_forget(m, p);
		return err;
	case BS_EVENT_KILLED:
		p = bs_proc_find(m, ev->pid);
		return p ? bs_ties_killed(p, ev->tid) : 0;
	case BS_EVENT_FORGOTTEN:
		if (ev->klass_id > BS_MODEL_MAX_DENSE)
			return -EINVAL;
		return bs_object_forgotten(m, ev, hash);
	default:
		return -EINVAL;
	}
}

/* Events of one process, one after the other. */
struct step {
	const struct bs_event *v;
	size_t n;
	uint64_t hash[STEP];
};

static void step_begin(const struct bs_model *m, struct step *s, const struct bs_event *v, size_t n)
{
	uint32_t pid = n ? v[0].pid : 0;
	size_t i;

	n = n < STEP ? n : STEP;
	for (i = 0; i < n && v[i].pid == pid; i++)
		s->hash[i] = bs_objects_hash(m->seed, v[i].klass_id, v[i].id);
	s->v = v;
	s->n = i;
}

/* The table that they look into; NULL if there is none so far. */
static const struct bs_objects *step_objects(struct bs_model *m, const struct step *s)
{
	const struct bs_proc *p = s->n ? bs_proc_find(m, s->v[0].pid) : NULL;

	return p ? &p->objects : NULL;
}

int bs_model_events(struct bs_model *m, const struct bs_event *v, size_t n)
{
	struct step steps[3], *ahead = &steps[0], *next = &steps[1], *now = &steps[2], *done;
	const struct bs_objects *o;
	int err = 0;

	next->n = now->n = 0;
	do {
		step_begin(m, ahead, v, n);
		v += ahead->n;
		n -= ahead->n;
		if ((o = step_objects(m, ahead)))
			bs_objects_fetch_tags(o, ahead->hash, ahead->n);
		if ((o = step_objects(m, next)))
			bs_objects_fetch(o, next->hash, next->n);
		for (size_t i = 0; i < now->n && !err; i++)
			err = event(m, &now->v[i], now->hash[i]);
		done = now;
		now = next;
		next = ahead;
		ahead = done;
	} while ((now->n || next->n) && !err);
	return err;
}

int bs_model_event(struct bs_model *m, const struct bs_event *ev)
{
	return bs_model_events(m, ev, 1);
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
	struct bs_class *c;
	int err;

	if (!klass_id || klass_id > BS_MODEL_MAX_DENSE)
		return -EINVAL;
	err = dense_reserve((void **)&m->classes, &m->nclasses, klass_id, sizeof(*m->classes));
	if (err)
		return err;
	c = &m->classes[klass_id];
	c->has_new |= has_new;
	if (gap_ns > c->gap_ns)
		c->gap_ns = gap_ns;
	/* That remains when what is dark is lit again. */
	if (c->dark && gap_ns > c->lit_gap_ns)
		c->lit_gap_ns = gap_ns;
	return 0;
}

int bs_model_births(struct bs_model *m, uint32_t klass_id, uint32_t place, uint32_t site,
		    bool caller)
{
	int err = place && place <= BS_MODEL_MAX_DENSE ? bs_model_class(m, klass_id, true, 0)
						       : -EINVAL;

	if (!err)
		err = dense_reserve((void **)&m->births_at, &m->nbirths_at, place,
				    sizeof(*m->births_at));
	if (!err)
		err = dense_reserve((void **)&m->births, &m->births_cap, m->nbirths,
				    sizeof(*m->births));
	if (err)
		return err;
	m->births[m->nbirths++] = (struct bs_births){
		.klass = klass_id,
		.place = place,
		.next = m->births_at[place],
		.stratum = (uint8_t)BSCOPE_STRATUM(site, 0u),
		.caller = caller,
	};
	m->births_at[place] = m->nbirths;
	return 0;
}

int bs_model_locks(struct bs_model *m, uint32_t klass_id)
{
	int err = bs_model_class(m, klass_id, false, 0);

	if (!err)
		m->classes[klass_id].locks = true;
	return err;
}

int bs_model_numbers(struct bs_model *m, uint32_t klass_id)
{
	int err = bs_model_class(m, klass_id, false, 0);

	if (!err)
		m->classes[klass_id].numbers = true;
	return err;
}

int bs_model_end(struct bs_model *m)
{
	uint64_t now = m->clock.start_ns + m->clock.elapsed_ns;
	int err = 0;

	for (uint32_t i = 0; i < m->nbuckets && !err; i++)
		for (struct bs_proc *p = m->buckets[i]; p && !err; p = p->next)
			err = bs_ties_end(m, p, now, BS_ORPHAN_NS);
	if (!err)
		err = bs_suspects_decide(m, UINT64_MAX);
	bs_tried_end(m);
	return err;
}

void bs_model_totals(const struct bs_model *m, struct bs_model_totals *out)
{
	*out = m->totals;
}

uint64_t bs_model_hits(const struct bs_model *m, uint32_t place)
{
	return place < m->nhits ? m->hits[place] : 0;
}
