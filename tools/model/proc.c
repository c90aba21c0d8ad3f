/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * proc.c - the processes a model knows, and what becomes of their objects when they go.
 *
 * Each process has a table of its own, so that the end of one costs what it owned, not what all
 * own: a shell script's thousand children do not scan the big server's million objects.
 */
#include "model/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct bs_proc **bucket_of(const struct bs_model *m, uint32_t pid)
{
	return &m->buckets[(pid * 0x9e3779b1u >> 7) & (m->nbuckets - 1)];
}

struct bs_proc *bs_proc_find(struct bs_model *m, uint32_t pid)
{
	struct bs_proc *p;

	if (m->recent && m->recent->pid == pid)
		return m->recent;
	if (!m->nbuckets)
		return NULL;
	for (p = *bucket_of(m, pid); p; p = p->next) {
		if (p->pid == pid) {
			m->recent = p;
			return p;
		}
	}
	return NULL;
}

static int buckets_grow(struct bs_model *m)
{
	uint32_t nold = m->nbuckets, n = nold ? nold * 2 : 16;
	struct bs_proc **old = m->buckets, **buckets;

	buckets = calloc(n, sizeof(struct bs_proc *));
	if (!buckets)
		return -ENOMEM;
	m->buckets = buckets;
	m->nbuckets = n;
	for (uint32_t i = 0; i < nold; i++) {
		while (old[i]) {
			struct bs_proc *p = old[i], **bucket = bucket_of(m, p->pid);

			old[i] = p->next;
			p->next = *bucket;
			*bucket = p;
		}
	}
	free(old);
	return 0;
}

struct bs_proc *bs_proc_get(struct bs_model *m, uint32_t pid)
{
	struct bs_proc *p = bs_proc_find(m, pid), **bucket;

	if (p)
		return p;
	if (m->nprocesses == m->nbuckets && buckets_grow(m))
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->pid = pid;
	bs_objects_init(&p->objects, m->seed);
	bucket = bucket_of(m, pid);
	p->next = *bucket;
	*bucket = p;
	m->nprocesses++;
	m->recent = p;
	return p;
}

static void process_clear(struct bs_model *m, struct bs_proc *p)
{
	bs_objects_clear(&p->objects);
	bs_ties_fini(m, p);
	bs_lockorder_fini(m, p);
	bs_regions_fini(p);
	for (uint32_t i = 0; i < p->npending; i++)
		bs_tie_free(p->pending[i].tie);
	p->npending = 0;
}

static void process_free(struct bs_model *m, struct bs_proc *p)
{
	process_clear(m, p);
	free(p->pending);
	free(p);
}

void bs_proc_forget(struct bs_model *m, struct bs_proc *p)
{
	struct bs_proc **link = bucket_of(m, p->pid);

	while (*link != p)
		link = &(*link)->next;
	*link = p->next;
	m->nprocesses--;
	m->recent = NULL;
	process_free(m, p);
}

void bs_procs_fini(struct bs_model *m)
{
	for (uint32_t i = 0; i < m->nbuckets; i++) {
		while (m->buckets[i]) {
			struct bs_proc *p = m->buckets[i];

			m->buckets[i] = p->next;
			process_free(m, p);
		}
	}
	free(m->buckets);
	m->buckets = NULL;
	m->nbuckets = m->nprocesses = 0;
	m->recent = NULL;
}

static int origin_going(struct bs_model *m, const struct bs_obj *obj, uint32_t *touched,
			size_t *ntouched)
{
	struct bs_origin *g = &m->origins.v[obj->origin];

	if (!g->going_count++)
		touched[(*ntouched)++] = obj->origin;
	g->going_bytes += obj->bytes;
	g->going_series_bytes += bs_series_bytes(m, obj);
	g->going_series_count += bs_series_count(m, obj);
	return bs_sampling(m) ? bs_sample_going(m, obj) : 0;
}

/* A row, or the sum without a pid when there are too many rows or no memory for one. */
static int exit_add(struct bs_model *m, uint32_t pid, uint32_t origin)
{
	struct bs_origin *g = &m->origins.v[origin];
	struct bs_left *left = NULL;
	int err = 0;

	if (m->nexits == m->exits_cap && m->exits_cap < BS_MODEL_MAX_EXITS) {
		size_t cap = m->exits_cap ? m->exits_cap * 2 : 64;
		struct bs_exit *rows = realloc(m->exits, cap * sizeof(*rows));

		if (rows) {
			m->exits = rows;
			m->exits_cap = cap;
		} else {
			err = -ENOMEM;
		}
	}
	if (g->sample && m->nexits < m->exits_cap) {
		left = malloc(sizeof(*left));
		if (left)
			*left = g->sample->going;
		else
			err = -ENOMEM;
	}
	if (m->nexits < m->exits_cap && !left == !g->sample) {
		m->exits[m->nexits++] = (struct bs_exit){
			.pid = pid,
			.origin = origin,
			.count = g->going_count,
			.bytes = g->going_bytes,
			.left = left,
		};
	} else {
		g->exit_count += g->going_count;
		g->exit_bytes += g->going_bytes;
		if (g->sample)
			bs_left_merge(&g->sample->exited, &g->sample->going);
	}
	if (g->sample)
		g->sample->going = (struct bs_left){0};
	return err;
}

int bs_proc_heard(struct bs_model *m, uint32_t pid, uint64_t ts_ns)
{
	struct bs_proc *p = bs_proc_get(m, pid);

	if (!p)
		return -ENOMEM;
	p->heard_ns = ts_ns;
	return 0;
}

int bs_proc_end(struct bs_model *m, struct bs_proc *p, uint64_t ts_ns)
{
	size_t ntouched = 0, most = p->objects.live + p->npending;
	uint32_t *touched;
	struct bs_obj *obj;
	uint64_t pos = 0;
	int err = bs_ties_end(m, p, ts_ns, 0);

	p->heard_ns = 0;
	if (!most) {
		process_clear(m, p);
		return err;
	}
	if (most > m->origins.n)
		most = m->origins.n;
	/* Not known pending ones alone: there may be no origin at all. */
	touched = malloc((most ? most : 1) * sizeof(*touched));
	if (!touched)
		return -ENOMEM;

	while ((obj = bs_objects_next(&p->objects, &pos)))
		if (origin_going(m, obj, touched, &ntouched))
			err = -ENOMEM;
	for (uint32_t i = 0; i < p->npending; i++)
		if (p->pending[i].known && origin_going(m, &p->pending[i].obj, touched, &ntouched))
			err = -ENOMEM;
	for (size_t i = 0; i < ntouched; i++) {
		struct bs_origin *g = &m->origins.v[touched[i]];
		int e = exit_add(m, p->pid, touched[i]);

		if (!e)
			e = bs_series_add(&g->series, &m->clock, ts_ns, -g->going_series_bytes,
					  -g->going_series_count);
		if (e)
			err = e;
		g->live -= g->going_count;
		g->live_bytes -= g->going_bytes;
		m->totals.live -= g->going_count;
		m->totals.exited += g->going_count;
		m->totals.live_bytes -= g->going_bytes;
		g->going_count = 0;
		g->going_bytes = 0;
		g->going_series_bytes = g->going_series_count = 0;
	}
	free(touched);
	process_clear(m, p);
	return err;
}
