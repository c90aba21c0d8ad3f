// SPDX-License-Identifier: GPL-2.0-only
/*
 * sampled.c - with sampling: for how many objects each stands that is followed, and what that says
 * about all of them.
 *
 * How objects were chosen is known by time.  One that began while that was being changed may have
 * been chosen either way: these are few, and their weights differ little.
 *
 * Where they were chosen by blocks all the time (bscope/follow.h), counts are known better.  Of the
 * blocks in which a row may have births, each has a followed one, whosever it is, but for those
 * that began before or ended after what was seen: at most two in each stratum of each buffer or
 * processor.  A row's strata follow from its place, and from what was seen of its callers.
 */
#include "model/state.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

int bs_model_sample(struct bs_model *m, uint64_t ts_ns, const struct bs_sample *sample)
{
	if (m->nrates == m->rates_cap) {
		uint32_t cap = m->rates_cap ? m->rates_cap * 2 : 4;
		struct bs_rate *rates = reallocarray(m->rates, cap, sizeof(*rates));

		if (!rates)
			return -ENOMEM;
		m->rates = rates;
		m->rates_cap = cap;
	}
	m->rates[m->nrates++] = (struct bs_rate){ts_ns, *sample};
	if (sample->mean > m->rarest.mean)
		m->rarest.mean = sample->mean;
	if (sample->mean_bytes > m->rarest.mean_bytes)
		m->rarest.mean_bytes = sample->mean_bytes;
	m->rarest.by = sample->by;
	return 0;
}

/* The one in force then; those before the first are of the first. */
static const struct bs_sample *sample_at(const struct bs_model *m, uint64_t ts_ns)
{
	uint32_t i = m->nrates - 1;

	while (i && m->rates[i].since_ns > ts_ns)
		i--;
	return &m->rates[i].sample;
}

static double sample_weight(const struct bs_sample *sample, uint64_t bytes)
{
	switch (sample->by) {
	case BS_SAMPLE_BYTES:
		return bs_weight_bytes(sample->mean_bytes, bytes);
	case BS_SAMPLE_EITHER:
		return bs_weight_either(sample->mean, sample->mean_bytes, bytes);
	default:
		return bs_weight_count(sample->mean);
	}
}

/* For how many objects one stands. */
static double weight(const struct bs_model *m, const struct bs_obj *obj)
{
	return m->nrates ? sample_weight(sample_at(m, obj->birth_ns), obj->bytes) : 1;
}

int64_t bs_weighed_bytes(const struct bs_model *m, const struct bs_obj *obj)
{
	return llround(weight(m, obj) * (double)obj->bytes);
}

int64_t bs_weighed_count(const struct bs_model *m, const struct bs_obj *obj)
{
	return llround(weight(m, obj) * BS_SERIES_UNIT);
}

static struct bs_origin_sample *sample_of(struct bs_model *m, const struct bs_obj *obj)
{
	struct bs_origin *g = &m->origins.v[obj->origin];

	if (!g->sample)
		g->sample = calloc(1, sizeof(*g->sample));
	return g->sample;
}

static void strata_add(struct bs_strata *s, uint8_t stratum)
{
	s->bits[stratum / 64] |= 1ull << stratum % 64;
}

static bool strata_has(const struct bs_strata *s, unsigned stratum)
{
	return s->bits[stratum / 64] >> stratum % 64 & 1;
}

static void strata_merge(struct bs_strata *to, const struct bs_strata *from)
{
	for (unsigned i = 0; i < 4; i++)
		to->bits[i] |= from->bits[i];
}

static const struct bs_strata all_strata = {{UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}};

int bs_sample_created(struct bs_model *m, const struct bs_obj *obj, uint8_t stratum)
{
	struct bs_origin_sample *s = sample_of(m, obj);

	if (!s)
		return -ENOMEM;
	bs_sampled_add(&s->created, weight(m, obj), 1);
	strata_add(&s->strata, stratum);
	m->followed[stratum]++;
	return 0;
}

int bs_sample_dropped(struct bs_model *m, const struct bs_obj *obj)
{
	struct bs_origin_sample *s = sample_of(m, obj);

	if (s)
		bs_sampled_add(&s->dropped, weight(m, obj), 1);
	return s ? 0 : -ENOMEM;
}

int bs_sample_going(struct bs_model *m, const struct bs_obj *obj)
{
	struct bs_origin_sample *s = sample_of(m, obj);
	double w = weight(m, obj), y = (double)obj->bytes;

	if (!s)
		return -ENOMEM;
	bs_sampled_add(&s->going.count, w, 1);
	bs_sampled_add(&s->going.bytes, w, y);
	s->going.top = fmax(s->going.top, w * y);
	return 0;
}

void bs_left_merge(struct bs_left *to, const struct bs_left *from)
{
	bs_sampled_merge(&to->count, &from->count);
	bs_sampled_merge(&to->bytes, &from->bytes);
	to->top = fmax(to->top, from->top);
}

static int vanish(struct bs_model *m, const struct bs_obj *obj, uint64_t ts_ns)
{
	struct bs_origin_sample *s = bs_sampling(m) ? sample_of(m, obj) : NULL;

	if (s) {
		s->vanished += weight(m, obj);
		s->vanished_bytes += weight(m, obj) * (double)obj->bytes;
	}
	m->totals.vanished++;
	return bs_live_change(m, obj, -1, ts_ns);
}

/*
 * Is it forgotten by its resize, which has decided anew?  Or there was no room for it in the table,
 * which cannot be told apart; but then others that begin find none either.
 */
static bool decided_anew(const struct bs_model *m, const struct bs_event *ev)
{
	const struct bs_moment *at = &m->decided;

	return at->key.id == ev->id && at->key.klass == ev->klass_id && at->pid == ev->pid &&
	       at->tid == ev->tid && at->ts_ns == ev->ts_ns;
}

static int vanish_anew(struct bs_model *m, const struct bs_obj *obj, uint64_t ts_ns)
{
	struct bs_origin_sample *s = sample_of(m, obj);

	if (!s)
		return -ENOMEM;
	s->anew += weight(m, obj);
	s->anew_bytes += weight(m, obj) * (double)obj->bytes;
	m->totals.vanished++;
	return bs_live_change(m, obj, -1, ts_ns);
}

static int resize_forgotten(struct bs_model *m, struct bs_pending *e, uint64_t ts_ns)
{
	if (!e->known)
		return 0;
	e->known = false;
	return vanish(m, &e->obj, ts_ns);
}

/* By bytes it is decided anew: others stand for it. */
static int resize_ended(struct bs_model *m, struct bs_pending *e, uint64_t ts_ns)
{
	if (!bs_sample_bytes(&m->rarest))
		return resize_forgotten(m, e, ts_ns);
	if (!e->known)
		return 0;
	e->known = false;
	m->totals.vanished++;
	return bs_live_change(m, &e->obj, -1, ts_ns);
}

/*
 * Those of a class (0: of all): their ends will not be seen, and are not to be taken for those of
 * others.
 */
static int resizes_forgotten(struct bs_model *m, struct bs_proc *p, uint32_t klass, uint64_t ts_ns)
{
	uint32_t i = p->npending;
	int err = 0;

	while (i-- > 0 && !err) {
		struct bs_pending *e = &p->pending[i];

		if (klass && e->obj.klass != klass)
			continue;
		err = resize_forgotten(m, e, ts_ns);
		if (!e->replaced && m->classes[e->obj.klass].nties)
			bs_tie_remove(m, p, e->obj.klass, e->obj.id);
		bs_tie_free(e->tie);
		bs_pending_remove(p, i);
	}
	return err;
}

int bs_object_forgotten(struct bs_model *m, const struct bs_event *ev, uint64_t hash)
{
	struct bs_proc *p = bs_proc_find(m, ev->pid);
	struct bs_obj *obj, gone;
	struct bs_pending *e;
	uint32_t i;
	int err = 0;

	if (!p)
		return 0;
	if (!ev->klass_id)
		return resizes_forgotten(m, p, 0, ev->ts_ns);
	/* Its new may be still to come, by a thread whose clock is a little ahead. */
	if (bs_recent_add(&m->marks, ev, 0))
		return -ENOMEM;
	e = bs_pending_of(p, ev);
	obj = bs_objects_find(&p->objects, hash, ev->klass_id, ev->id);
	if (e && !obj)
		return resize_ended(m, e, ev->ts_ns);
	if (!obj) {
		/* Of one that has moved the end says the new id, which nobody knows. */
		i = bs_pending_find(m, p, ev, false);
		return i == UINT32_MAX ? 0 : resize_ended(m, &p->pending[i], ev->ts_ns);
	}
	if (!(obj->flags & BS_OBJ_DEAD) && decided_anew(m, ev)) {
		err = vanish_anew(m, obj, ev->ts_ns);
	} else if (!(obj->flags & BS_OBJ_DEAD)) {
		m->broken = true;
		err = vanish(m, obj, ev->ts_ns);
	}
	if (ev->klass_id < m->nclasses && m->classes[ev->klass_id].nties)
		bs_tie_remove(m, p, ev->klass_id, ev->id);
	if (obj->flags & BS_OBJ_DEAD)
		bs_objects_revive(&p->objects, hash, obj);
	bs_objects_take(&p->objects, hash, ev->klass_id, ev->id, &gone);
	return err;
}

/* All objects of a class in a process, one after the other: the table changes meanwhile. */
static int class_forget(struct bs_model *m, struct bs_proc *p, uint32_t klass, uint64_t ts_ns)
{
	struct bs_event ev = {.ts_ns = ts_ns, .pid = p->pid, .klass_id = klass};
	uint64_t *ids = malloc((p->objects.live + 1) * sizeof(*ids)), pos = 0;
	const struct bs_obj *obj;
	size_t n = 0;
	int err = 0;

	if (!ids)
		return -ENOMEM;
	while ((obj = bs_objects_next(&p->objects, &pos)))
		if (obj->klass == klass)
			ids[n++] = obj->id;
	for (size_t i = 0; i < n && !err; i++) {
		ev.id = ids[i];
		err = bs_object_forgotten(m, &ev, bs_objects_hash(m->seed, klass, ev.id));
	}
	free(ids);
	return err ? err : resizes_forgotten(m, p, klass, ts_ns);
}

int bs_model_class_dark(struct bs_model *m, uint32_t klass_id)
{
	struct bs_class *c;
	int err = bs_model_class(m, klass_id, false, 0);

	if (err)
		return err;
	c = &m->classes[klass_id];
	if (!c->dark++)
		c->lit_gap_ns = c->gap_ns;
	c->gap_ns = UINT64_MAX;
	return 0;
}

void bs_model_class_missed(struct bs_model *m, uint32_t klass_id)
{
	if (klass_id < m->nclasses)
		m->classes[klass_id].missed = true;
}

int bs_model_class_forget(struct bs_model *m, uint32_t klass_id, uint64_t ts_ns)
{
	int err = 0;

	bs_clock_advance(&m->clock, ts_ns);
	bs_model_class_missed(m, klass_id);
	for (uint32_t i = 0; i < m->nbuckets && !err; i++)
		for (struct bs_proc *p = m->buckets[i]; p && !err; p = p->next)
			err = class_forget(m, p, klass_id, ts_ns);
	return err;
}

void bs_model_class_lit(struct bs_model *m, uint32_t klass_id, uint64_t ts_ns)
{
	struct bs_class *c;

	if (klass_id >= m->nclasses || !m->classes[klass_id].dark)
		return;
	c = &m->classes[klass_id];
	if (--c->dark)
		return;
	c->gap_ns = c->lit_gap_ns > ts_ns ? c->lit_gap_ns : ts_ns;
}

/* --- what the sample says --------------------------------------------------------------------- */

/*
 * What may have been missed.  By objects, one of any size: there is no bound for the bytes.  By
 * bytes, the smallest are missed most often: one that counts for a byte.
 */
static void unseen(const struct bs_model *m, struct bs_origin_sums *s)
{
	double w = sample_weight(&m->rarest, 1);

	bs_sampled_unseen(&s->created, w, 1);
	bs_sampled_unseen(&s->dropped, w, 1);
	bs_sampled_unseen(&s->live, w, 1);
	if (bs_sample_bytes(&m->rarest))
		bs_sampled_unseen(&s->live_bytes, bs_weight_bytes(m->rarest.mean_bytes, 1), 1);
}

void bs_model_blocks(struct bs_model *m, uint64_t places)
{
	m->block_places = places;
}

/* In so many there may be births of these strata; infinite if that is not known. */
static double blocks_in(const struct bs_model *m, const struct bs_strata *strata)
{
	double blocks = 0;

	if (m->nrates != 1 || !bs_sample_block(&m->rates[0].sample) || !m->block_places ||
	    m->totals.lost)
		return INFINITY;
	for (unsigned i = 0; i < 256; i++)
		if (strata_has(strata, i))
			blocks += (double)(m->followed[i] + 2 * m->block_places);
	return blocks;
}

/*
 * Beyond chance: what was followed and has vanished lives, or was dropped.  What was lost may have
 * been births, each of which stood for others, or the drops of what seems to live.  Of what began
 * where nobody looked there is any number.
 */
static void missing(const struct bs_model *m, const struct bs_origin_sums *s, struct bs_estimate *e)
{
	double lost = (double)m->totals.lost * sample_weight(&m->rarest, 1);
	double vanished = s->vanished + (m->broken ? s->anew : 0);

	if (s->missed)
		lost = INFINITY;
	e->created.high += lost;
	e->dropped.high += lost + vanished;
	e->live.high += lost + vanished;
	e->live_bytes.high += s->vanished_bytes + (m->broken ? s->anew_bytes : 0);
	if (lost > 0)
		e->live_bytes.high = INFINITY;
	if (!m->totals.lost)
		return;
	lost = (double)m->totals.lost;
	e->live.low = fmax(e->live.low - lost * sample_weight(&m->rarest, 1), 0);
	e->live_bytes.low = fmax(e->live_bytes.low - lost * s->top, 0);
}

struct bs_estimate bs_sums_estimate(const struct bs_model *m, const struct bs_origin_sums *sums)
{
	struct bs_origin_sums s = *sums;
	double n = m->rarest.mean, blocks, sure;
	struct bs_estimate e;

	if (!m->nrates)
		return (struct bs_estimate){0};
	unseen(m, &s);
	blocks = blocks_in(m, &s.strata);
	/* What has become of a birth must be known, and nothing else be among these. */
	sure = m->totals.vanished || m->totals.adopted ? INFINITY : blocks;
	e = (struct bs_estimate){
		.created = bs_sampled_blocks(&s.created, n, blocks),
		.dropped = bs_sampled_blocks(&s.dropped, n, sure),
		.live = bs_sampled_blocks(&s.live, n, sure),
		.live_bytes = bs_sampled_interval(&s.live_bytes),
	};
	missing(m, &s, &e);
	return e;
}

void bs_sums_merge(struct bs_origin_sums *to, const struct bs_origin_sums *from)
{
	bs_sampled_merge(&to->created, &from->created);
	bs_sampled_merge(&to->dropped, &from->dropped);
	bs_sampled_merge(&to->live, &from->live);
	bs_sampled_merge(&to->live_bytes, &from->live_bytes);
	to->fresh_var_bytes += from->fresh_var_bytes;
	to->fresh_var_count += from->fresh_var_count;
	to->vanished += from->vanished;
	to->vanished_bytes += from->vanished_bytes;
	to->anew += from->anew;
	to->anew_bytes += from->anew_bytes;
	to->top = fmax(to->top, from->top);
	to->missed |= from->missed;
	strata_merge(&to->strata, &from->strata);
}

/* Of a place with more sites than this nothing is worked out. */
#define PLACE_SITES 16u

/*
 * What the caller makes of a stratum is the same at all sites of the place, whichever of them was
 * seen.
 */
static struct bs_strata origin_strata(const struct bs_model *m, const struct bs_origin *g)
{
	uint32_t first = g->place < m->nbirths_at ? m->births_at[g->place] : 0;
	const struct bs_strata *seen = &g->sample->strata;
	struct bs_strata strata = {{0}};
	uint8_t sites[PLACE_SITES];
	unsigned n = 0;

	if (!first)
		return all_strata;
	for (uint32_t at = first; at; at = m->births[at - 1].next) {
		if (n == PLACE_SITES || (m->births[at - 1].caller && !bs_model_caller(m, g->code)))
			return all_strata;
		sites[n++] = m->births[at - 1].stratum;
	}
	for (unsigned s = 0; s < 256; s++)
		for (unsigned i = 0; strata_has(seen, s) && i < n; i++)
			for (unsigned k = 0; k < n; k++)
				strata_add(&strata, (uint8_t)(s ^ sites[i] ^ sites[k]));
	return strata;
}

void bs_sums_of_class(const struct bs_model *m, struct bs_origin_sums *sums, uint32_t klass)
{
	for (uint32_t i = 0; i < m->nbirths; i++) {
		if (klass && m->births[i].klass != klass)
			continue;
		sums->missed |= m->classes[m->births[i].klass].missed;
		if (m->births[i].caller)
			strata_merge(&sums->strata, &all_strata);
		else
			strata_add(&sums->strata, m->births[i].stratum);
	}
}

void bs_sums_of_origin(const struct bs_model *m, struct bs_origin_sums *sums, uint32_t origin)
{
	const struct bs_origin *g = &m->origins.v[origin];
	const struct bs_origin_sample *s = g->sample;

	if (!s)
		return;
	*sums = (struct bs_origin_sums){
		.created = s->created,
		.dropped = s->dropped,
		.strata = origin_strata(m, g),
		.vanished = s->vanished,
		.vanished_bytes = s->vanished_bytes,
		.anew = s->anew,
		.anew_bytes = s->anew_bytes,
		.missed = m->classes[g->klass].missed,
	};
}

void bs_sums_left(struct bs_origin_sums *sums, const struct bs_left *left)
{
	bs_sampled_merge(&sums->live, &left->count);
	bs_sampled_merge(&sums->live_bytes, &left->bytes);
	sums->top = fmax(sums->top, left->top);
}

static void live_add(const struct bs_model *m, struct bs_origin_sums *sums,
		     const struct bs_obj *obj, uint64_t min_age_ns)
{
	struct bs_origin_sums *s = &sums[obj->origin];
	double w = weight(m, obj), y = (double)obj->bytes;
	uint64_t now = m->clock.start_ns + m->clock.elapsed_ns;

	if (min_age_ns && (now < obj->birth_ns || now - obj->birth_ns < min_age_ns))
		return;
	bs_sampled_add(&s->live, w, 1);
	bs_sampled_add(&s->live_bytes, w, y);
	s->top = fmax(s->top, w * y);
	if (obj->birth_ns < m->clock.start_ns)
		return;
	s->fresh_var_bytes += w * (w - 1) * y * y;
	s->fresh_var_count += w * (w - 1);
}

struct bs_origin_sums *bs_sums_new(const struct bs_model *m, uint64_t min_age_ns)
{
	struct bs_origin_sums *sums = calloc(m->origins.n + 1, sizeof(*sums));

	if (!sums || !m->nrates)
		return sums;
	for (uint32_t i = 0; i < m->origins.n; i++)
		bs_sums_of_origin(m, &sums[i], i);
	for (uint32_t i = 0; i < m->nbuckets; i++)
		for (const struct bs_proc *p = m->buckets[i]; p; p = p->next) {
			const struct bs_obj *obj;
			uint64_t pos = 0;

			while ((obj = bs_objects_next(&p->objects, &pos)))
				live_add(m, sums, obj, min_age_ns);
			for (uint32_t j = 0; j < p->npending; j++)
				if (p->pending[j].known)
					live_add(m, sums, &p->pending[j].obj, min_age_ns);
		}
	return sums;
}

int bs_model_estimate(const struct bs_model *m, struct bs_estimate *out)
{
	struct bs_origin_sums *sums = bs_sums_new(m, 0), all = {0};

	if (!sums)
		return -ENOMEM;
	for (uint32_t i = 0; i < m->origins.n; i++)
		bs_sums_merge(&all, &sums[i]);
	bs_sums_of_class(m, &all, 0);
	*out = bs_sums_estimate(m, &all);
	free(sums);
	return 0;
}
