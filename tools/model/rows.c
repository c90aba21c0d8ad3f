/* SPDX-License-Identifier: GPL-2.0-only */
/* rows.c - tables of what a model knows, sorted for a reader. */
#include "model/state.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* What only a walk over all objects can tell, per origin. */
struct ages {
	uint64_t oldest_ns, live, live_bytes;
};

static void age_add(struct ages *ages, const struct bs_model *m, const struct bs_obj *obj,
		    uint64_t min_age_ns)
{
	uint64_t now = m->clock.start_ns + m->clock.elapsed_ns;
	uint64_t age = now > obj->birth_ns ? now - obj->birth_ns : 0;
	struct ages *a = &ages[obj->origin];

	if (age < min_age_ns)
		return;
	if (age > a->oldest_ns)
		a->oldest_ns = age;
	a->live++;
	a->live_bytes += obj->bytes;
}

/* One per origin (at least one), to be freed; NULL when out of memory. */
static struct ages *ages_new(const struct bs_model *m, uint64_t min_age_ns)
{
	struct ages *ages = calloc(m->origins.n + 1, sizeof(*ages));

	if (!ages)
		return NULL;
	for (uint32_t i = 0; i < m->nbuckets; i++) {
		for (const struct bs_proc *p = m->buckets[i]; p; p = p->next) {
			const struct bs_obj *obj;
			uint64_t pos = 0;

			while ((obj = bs_objects_next(&p->objects, &pos)))
				age_add(ages, m, obj, min_age_ns);
			for (uint32_t j = 0; j < p->npending; j++) {
				if (p->pending[j].known)
					age_add(ages, m, &p->pending[j].obj, min_age_ns);
			}
		}
	}
	return ages;
}

/* --- rows by caller --------------------------------------------------------------------------- */

/* Origins that differ in what is behind one caller are one row. */
struct groups {
	struct bs_origins rows; /* what origins know, added up; code: the caller */
	uint32_t *of;		/* row of each origin */
	struct ages *ages;	/* by row */
	struct bs_origin_sums *sums;
};

static void groups_fini(struct groups *g)
{
	bs_origins_fini(&g->rows);
	free(g->of);
	free(g->ages);
	free(g->sums);
}

static int group_add(struct bs_origin *to, const struct bs_origin *from)
{
	to->created += from->created;
	to->dropped += from->dropped;
	to->live += from->live;
	to->live_bytes += from->live_bytes;
	if (!from->lifetime)
		return 0;
	if (!to->lifetime)
		to->lifetime = calloc(1, sizeof(*to->lifetime));
	return to->lifetime ? bs_hist_merge(to->lifetime, from->lifetime) : -ENOMEM;
}

static void ages_merge(struct ages *to, const struct ages *from)
{
	if (from->oldest_ns > to->oldest_ns)
		to->oldest_ns = from->oldest_ns;
	to->live += from->live;
	to->live_bytes += from->live_bytes;
}

/* All zero before; 0 or -ENOMEM, to be ended in any case. */
static int groups_init(struct groups *g, const struct bs_model *m, uint64_t min_age_ns)
{
	struct bs_origin_sums *sums = bs_sums_new(m, min_age_ns);
	struct ages *ages = ages_new(m, min_age_ns);
	int err = -ENOMEM;

	g->of = calloc(m->origins.n + 1, sizeof(*g->of));
	g->ages = calloc(m->origins.n + 1, sizeof(*g->ages));
	g->sums = calloc(m->origins.n + 1, sizeof(*g->sums));
	if (!sums || !ages || !g->of || !g->ages || !g->sums)
		goto out;
	for (uint32_t i = 0; i < m->origins.n; i++) {
		const struct bs_origin *o = &m->origins.v[i];
		uint32_t at =
			bs_origin_intern(&g->rows, o->klass, o->place, bs_model_caller(m, o->code));

		if (at == UINT32_MAX || group_add(&g->rows.v[at], o))
			goto out;
		g->of[i] = at;
		ages_merge(&g->ages[at], &ages[i]);
		bs_sums_merge(&g->sums[at], &sums[i]);
	}
	err = 0;
out:
	free(sums);
	free(ages);
	return err;
}

static struct bs_lifetime lifetime_of(const struct bs_hist *h)
{
	if (!h)
		return (struct bs_lifetime){0};
	return (struct bs_lifetime){
		.count = h->count,
		.p50_ns = bs_hist_quantile(h, 50, 100),
		.p90_ns = bs_hist_quantile(h, 90, 100),
		.p99_ns = bs_hist_quantile(h, 99, 100),
		.max_ns = h->max,
	};
}

/* Falling; rising is for the ids that break ties. */
static int falling(uint64_t a, uint64_t b)
{
	return (a < b) - (a > b);
}

static int rising(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int falling_double(double a, double b)
{
	return (a < b) - (a > b);
}

static int class_cmp(const void *x, const void *y)
{
	const struct bs_class_row *a = x, *b = y;
	int d = falling(a->live_bytes, b->live_bytes);

	d = d ? d : falling(a->live, b->live);
	d = d ? d : falling(a->created, b->created);
	return d ? d : rising(a->klass_id, b->klass_id);
}

int bs_model_classes(const struct bs_model *m, struct bs_class_row **rows, size_t *n)
{
	struct bs_class_row *v = calloc(m->nclasses + 1, sizeof(*v));
	struct bs_hist *lifetimes = calloc(m->nclasses + 1, sizeof(*lifetimes));
	struct bs_origin_sums *sums = bs_sums_new(m, 0);
	struct bs_origin_sums *all = calloc(m->nclasses + 1, sizeof(*all));
	size_t kept = 0;
	int err = -ENOMEM;

	*rows = NULL;
	*n = 0;
	if (!v || !lifetimes || !sums || !all)
		goto out;
	for (uint32_t i = 0; i < m->origins.n; i++) {
		const struct bs_origin *g = &m->origins.v[i];
		struct bs_class_row *row = &v[g->klass];

		row->klass_id = g->klass;
		row->created += g->created;
		row->dropped += g->dropped;
		row->live += g->live;
		row->live_bytes += g->live_bytes;
		bs_sums_merge(&all[g->klass], &sums[i]);
		if (g->lifetime && bs_hist_merge(&lifetimes[g->klass], g->lifetime))
			goto out;
	}
	for (uint32_t i = 0; i < m->nclasses; i++) {
		struct bs_class_row row = v[i];

		row.unknown = m->classes[i].unknown;
		if (!row.klass_id && !row.unknown)
			continue;
		row.klass_id = i;
		row.lifetime = lifetime_of(&lifetimes[i]);
		bs_sums_of_class(m, &all[i], i);
		row.estimate = bs_sums_estimate(m, &all[i]);
		v[kept++] = row;
	}
	err = 0;
	if (!kept)
		goto out;
	qsort(v, kept, sizeof(*v), class_cmp);
	*rows = v;
	*n = kept;
	v = NULL;
out:
	if (lifetimes) {
		for (uint32_t i = 0; i < m->nclasses; i++)
			bs_hist_fini(&lifetimes[i]);
	}
	free(lifetimes);
	free(sums);
	free(all);
	free(v);
	return err;
}

static int site_cmp(const void *x, const void *y)
{
	const struct bs_site_row *a = x, *b = y;
	int d = falling(a->live_bytes, b->live_bytes);

	d = d ? d : falling(a->live, b->live);
	d = d ? d : falling(a->created, b->created);
	d = d ? d : rising(a->klass_id, b->klass_id);
	d = d ? d : rising(a->place, b->place);
	return d ? d : rising(a->code, b->code);
}

int bs_model_sites(const struct bs_model *m, uint64_t min_age_ns, struct bs_site_row **rows,
		   size_t *n)
{
	struct bs_site_row *v = calloc(m->origins.n + 1, sizeof(*v));
	struct groups g = {0};
	size_t kept = 0;
	int err = groups_init(&g, m, min_age_ns);

	*rows = NULL;
	*n = 0;
	if (!v || err) {
		free(v);
		groups_fini(&g);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < g.rows.n; i++) {
		const struct bs_origin *row = &g.rows.v[i];

		if (min_age_ns && !g.ages[i].live)
			continue;
		v[kept++] = (struct bs_site_row){
			.klass_id = row->klass,
			.place = row->place,
			.code = row->code,
			.created = row->created,
			.dropped = row->dropped,
			.live = g.ages[i].live,
			.live_bytes = g.ages[i].live_bytes,
			.oldest_ns = g.ages[i].oldest_ns,
			.lifetime = lifetime_of(row->lifetime),
			.estimate = bs_sums_estimate(m, &g.sums[i]),
		};
	}
	groups_fini(&g);
	if (!kept) {
		free(v);
		return 0;
	}
	qsort(v, kept, sizeof(*v), site_cmp);
	*rows = v;
	*n = kept;
	return 0;
}

static int growth_cmp(const void *x, const void *y)
{
	const struct bs_growth_row *a = x, *b = y;
	int d = falling_double(a->sure_bytes_per_s, b->sure_bytes_per_s);

	d = d ? d : falling_double(a->bytes_per_s, b->bytes_per_s);
	d = d ? d : falling_double(a->objects_per_s, b->objects_per_s);
	d = d ? d : rising(a->klass_id, b->klass_id);
	d = d ? d : rising(a->place, b->place);
	return d ? d : rising(a->code, b->code);
}

/* The middle of a 95 % interval of a normal distribution to its end, in standard deviations. */
#define NORMAL_95 1.96

/*
 * With sampling the series is of all objects, as far as those that were followed stand for them.
 * How many more, or fewer, began in the window is a chance that no scatter of the series shows.
 */
static struct bs_growth growth_of(const struct bs_model *m, const struct bs_origin *g,
				  const struct bs_origin_sums *sums)
{
	const struct bs_series *unknown = &m->classes[g->klass].unknown_drops;
	double live = (double)g->live, window_s = (double)m->clock.elapsed_ns / 1e9;
	struct bs_growth e;

	if (!bs_sampling(m))
		return bs_growth_estimate(&g->series, unknown, &m->clock,
					  (double)g->live_bytes / live, 1);
	e = bs_growth_estimate(&g->series, unknown, &m->clock, (double)g->series.bytes / live,
			       (double)g->series.count / live);
	if (window_s > 0) {
		e.bytes.error =
			hypot(e.bytes.error, NORMAL_95 * sqrt(sums->fresh_var_bytes) / window_s);
		e.objects.error =
			hypot(e.objects.error,
			      NORMAL_95 * BS_SERIES_UNIT * sqrt(sums->fresh_var_count) / window_s);
	}
	e.objects.slope /= BS_SERIES_UNIT;
	e.objects.error /= BS_SERIES_UNIT;
	return e;
}

int bs_model_growth(const struct bs_model *m, struct bs_growth_row **rows, size_t *n)
{
	struct bs_growth_row *v = calloc(m->origins.n + 1, sizeof(*v));
	struct groups g = {0};
	size_t kept = 0;
	int err = groups_init(&g, m, 0);

	*rows = NULL;
	*n = 0;
	for (uint32_t i = 0; i < m->origins.n && !err; i++)
		err = bs_series_merge(&g.rows.v[g.of[i]].series, &m->origins.v[i].series,
				      &m->clock);
	if (!v || err) {
		free(v);
		groups_fini(&g);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < g.rows.n; i++) {
		const struct bs_origin *row = &g.rows.v[i];
		struct bs_growth e;
		double sure;

		if (!row->live)
			continue;
		e = growth_of(m, row, &g.sums[i]);
		sure = e.bytes.slope - e.bytes.error;
		v[kept++] = (struct bs_growth_row){
			.klass_id = row->klass,
			.place = row->place,
			.code = row->code,
			.live = row->live,
			.live_bytes = row->live_bytes,
			.bytes_per_s = e.bytes.slope,
			.error_bytes_per_s = e.bytes.error,
			.sure_bytes_per_s = sure > 0 ? sure : 0,
			.objects_per_s = e.objects.slope,
			.error_objects_per_s = e.objects.error,
			.oldest_ns = g.ages[i].oldest_ns,
			.estimate = bs_sums_estimate(m, &g.sums[i]),
		};
	}
	groups_fini(&g);
	if (!kept) {
		free(v);
		return 0;
	}
	qsort(v, kept, sizeof(*v), growth_cmp);
	*rows = v;
	*n = kept;
	return 0;
}

static int exit_cmp_origin(const void *x, const void *y)
{
	const struct bs_exit_row *a = x, *b = y;
	int d = rising(a->pid, b->pid);

	d = d ? d : rising(a->klass_id, b->klass_id);
	d = d ? d : rising(a->place, b->place);
	return d ? d : rising(a->code, b->code);
}

static int exit_cmp(const void *x, const void *y)
{
	const struct bs_exit_row *a = x, *b = y;
	int d = falling(a->bytes, b->bytes);

	d = d ? d : falling(a->count, b->count);
	return d ? d : exit_cmp_origin(x, y);
}

/* A part of a row: what is known of it comes first, for exit_cmp_origin. */
struct exit_part {
	struct bs_exit_row row;
	uint32_t origin;
	const struct bs_left *left; /* NULL without sampling */
};

static void part_set(const struct bs_model *m, struct exit_part *part, const struct bs_exit *e)
{
	const struct bs_origin *g = &m->origins.v[e->origin];

	*part = (struct exit_part){
		.row = {.pid = e->pid,
			.klass_id = g->klass,
			.place = g->place,
			.code = bs_model_caller(m, g->code),
			.count = e->count,
			.bytes = e->bytes},
		.origin = e->origin,
		.left = e->left,
	};
}

/* So many parts of one row. */
static struct bs_exit_row exit_row(const struct bs_model *m, const struct exit_part *v, size_t n)
{
	struct bs_origin_sums all = {0};
	struct bs_exit_row row = v->row;
	struct bs_estimate e;

	for (size_t i = 0; i < n; i++) {
		struct bs_origin_sums sums = {0};

		row.count += i ? v[i].row.count : 0;
		row.bytes += i ? v[i].row.bytes : 0;
		if (!v[i].left)
			continue;
		bs_sums_of_origin(m, &sums, v[i].origin);
		bs_sums_left(&sums, v[i].left);
		bs_sums_merge(&all, &sums);
	}
	/* What has vanished may live, or may have lived until its process ended: as of the living.
	 */
	e = bs_sums_estimate(m, &all);
	row.estimate = (struct bs_exit_estimate){.count = e.live, .bytes = e.live_bytes};
	return row;
}

int bs_model_at_exit(const struct bs_model *m, struct bs_exit_row **rows, size_t *n)
{
	struct exit_part *v = calloc(m->nexits + m->origins.n + 1, sizeof(*v));
	size_t all = 0, kept = 0, same;

	*rows = NULL;
	*n = 0;
	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < m->nexits; i++)
		part_set(m, &v[all++], &m->exits[i]);
	for (uint32_t i = 0; i < m->origins.n; i++) {
		const struct bs_origin *g = &m->origins.v[i];
		const struct bs_exit e = {.origin = i,
					  .count = g->exit_count,
					  .bytes = g->exit_bytes,
					  .left = g->sample ? &g->sample->exited : NULL};

		if (g->exit_count)
			part_set(m, &v[all++], &e);
	}
	if (all)
		*rows = malloc(all * sizeof(**rows));
	if (!*rows) {
		free(v);
		return all ? -ENOMEM : 0;
	}
	/* A pid that went through exec, or was used again, has several for one origin. */
	qsort(v, all, sizeof(*v), exit_cmp_origin);
	for (size_t i = 0; i < all; i += same) {
		for (same = 1; i + same < all && !exit_cmp_origin(&v[i], &v[i + same]);)
			same++;
		(*rows)[kept++] = exit_row(m, &v[i], same);
	}
	free(v);
	qsort(*rows, kept, sizeof(**rows), exit_cmp);
	*n = kept;
	return 0;
}

int bs_model_stacks(const struct bs_model *m, struct bs_stack_row **rows, size_t *n)
{
	struct bs_stack_row *v = calloc(m->origins.n + 1, sizeof(*v));
	struct bs_origin_sums *sums = bs_sums_new(m, 0);

	*rows = NULL;
	*n = 0;
	if (!v || !sums) {
		free(v);
		free(sums);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < m->origins.n; i++) {
		const struct bs_origin *g = &m->origins.v[i];

		v[i] = (struct bs_stack_row){
			.klass_id = g->klass,
			.place = g->place,
			.code = g->code,
			.created = g->created,
			.dropped = g->dropped,
			.live = g->live,
			.live_bytes = g->live_bytes,
			.exited = g->exit_count,
			.exited_bytes = g->exit_bytes,
			.lifetime_ns = g->lifetime_ns,
			.estimate = bs_sums_estimate(m, &sums[i]),
		};
		if (g->live) {
			struct bs_growth e = growth_of(m, g, &sums[i]);

			v[i].bytes_per_s = e.bytes.slope;
			v[i].error_bytes_per_s = e.bytes.error;
			v[i].objects_per_s = e.objects.slope;
			v[i].error_objects_per_s = e.objects.error;
		}
	}
	free(sums);
	for (size_t i = 0; i < m->nexits; i++) {
		const struct bs_exit *e = &m->exits[i];

		v[e->origin].exited += e->count;
		v[e->origin].exited_bytes += e->bytes;
	}
	*n = m->origins.n;
	if (!*n) {
		free(v);
		v = NULL;
	}
	*rows = v;
	return 0;
}
