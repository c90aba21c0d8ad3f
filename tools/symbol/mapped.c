// SPDX-License-Identifier: GPL-2.0-only
/* mapped.c - what processes have mapped: see mapped.h. */
#include "symbol/mapped.h"

#include <stdlib.h>

#define NSEC_PER_MSEC 1000000ull
#define REFRESH_NS    (1000 * NSEC_PER_MSEC)
/* Unknown addresses may cause this many readings at once, and one more each REFILL_NS. */
#define ALLOWANCE 8u
#define REFILL_NS (200 * NSEC_PER_MSEC)

#define MAX_PROCESSES 4096u
/* Some 130 MB.  Forgotten at most once in REFRESH_NS: what needs them all is read no more often. */
#define MAX_MAPPINGS (1u << 20)

static void space_put(struct bs_mapped *m, struct bs_space *s)
{
	if (!s || --s->users)
		return;
	m->nmappings -= s->maps.n;
	bs_maps_fini(&s->maps);
	free(s->files);
	free(s);
}

static void forget_processes(struct bs_mapped *m)
{
	for (size_t i = 0; i < m->nprocesses; i++) {
		space_put(m, m->processes[i]->space);
		free(m->processes[i]);
	}
	m->nprocesses = 0;
	m->last = NULL;
	bs_index_fini(&m->by_pid);
}

void bs_mapped_fini(struct bs_mapped *m)
{
	forget_processes(m);
	free(m->processes);
	m->processes = NULL;
}

struct bs_mapped_process *bs_mapped_find(struct bs_mapped *m, uint32_t pid)
{
	uint32_t at;

	if (m->last && m->last->pid == pid)
		return m->last;
	at = bs_index_find(&m->by_pid, pid, 0);
	if (!at)
		return NULL;
	m->last = m->processes[at - 1];
	return m->last;
}

struct bs_mapped_process *bs_mapped_get(struct bs_mapped *m, uint32_t pid)
{
	struct bs_mapped_process *p;

	if (m->nmappings > MAX_MAPPINGS && m->now_ns - m->forgot_ns >= REFRESH_NS) {
		m->forgot_ns = m->now_ns;
		forget_processes(m);
	}
	p = bs_mapped_find(m, pid);

	if (p)
		return p;
	if (m->nprocesses == MAX_PROCESSES)
		forget_processes(m);
	if (!m->processes) {
		m->processes = malloc(MAX_PROCESSES * sizeof(*m->processes));
		if (!m->processes)
			return NULL;
	}
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->pid = pid;
	p->allowance = ALLOWANCE;
	if (bs_index_set(&m->by_pid, pid, 0, (uint32_t)m->nprocesses + 1)) {
		free(p);
		return NULL;
	}
	m->processes[m->nprocesses++] = p;
	m->last = p;
	return p;
}

bool bs_mapped_due(const struct bs_mapped *m, const struct bs_mapped_process *p)
{
	return !p->read_ns || m->now_ns - p->read_ns >= REFRESH_NS;
}

static bool same_maps(const struct bs_maps *a, const struct bs_maps *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct bs_mapping *x = &a->v[i], *y = &b->v[i];

		if (x->start != y->start || x->end != y->end || x->offset != y->offset ||
		    x->dev != y->dev || x->ino != y->ino || x->exec != y->exec)
			return false;
	}
	return true;
}

void bs_mapped_read(struct bs_mapped *m, struct bs_mapped_process *p)
{
	struct bs_maps maps;
	struct bs_space *s;

	p->read_ns = m->now_ns;
	p->gone = bs_maps_read((pid_t)p->pid, &maps, NULL) != 0;
	if (p->gone)
		return;
	if (p->space && same_maps(&p->space->maps, &maps)) {
		bs_maps_fini(&maps);
		return;
	}
	s = calloc(1, sizeof(*s));
	if (s)
		s->files = calloc(maps.n + 1, sizeof(*s->files));
	if (!s || !s->files) {
		free(s);
		bs_maps_fini(&maps);
		return;
	}
	s->users = 1;
	s->id = ++m->next_space;
	s->maps = maps;
	m->nmappings += maps.n;
	space_put(m, p->space);
	p->space = s;
	if (m->seen)
		m->seen(m->ctx, p->pid, s);
}

bool bs_mapped_may_read(struct bs_mapped *m, struct bs_mapped_process *p)
{
	if (!p->refill_ns)
		p->refill_ns = m->now_ns;
	while (p->allowance < ALLOWANCE && m->now_ns - p->refill_ns >= REFILL_NS) {
		p->allowance++;
		p->refill_ns += REFILL_NS;
	}
	if (p->allowance == ALLOWANCE)
		p->refill_ns = m->now_ns;
	if (!p->allowance)
		return false;
	p->allowance--;
	return true;
}

/* A process of which nothing is known yet. */
static struct bs_mapped_process *process_fresh(struct bs_mapped *m, uint32_t pid)
{
	struct bs_mapped_process *p = bs_mapped_get(m, pid);

	if (!p)
		return NULL;
	space_put(m, p->space);
	p->space = NULL;
	p->read_ns = 0;
	p->allowance = ALLOWANCE;
	p->gone = false;
	return p;
}

struct bs_mapped_process *bs_mapped_invalidate(struct bs_mapped *m, uint32_t pid)
{
	struct bs_mapped_process *p = process_fresh(m, pid);

	if (p)
		bs_mapped_read(m, p);
	return p;
}

void bs_mapped_fork(struct bs_mapped *m, uint32_t parent, uint32_t child)
{
	struct bs_mapped_process *p = bs_mapped_get(m, parent);
	struct bs_space *space;

	if (p && bs_mapped_due(m, p))
		bs_mapped_read(m, p);
	space = p ? p->space : NULL;
	if (space)
		space->users++; /* the parent's entry may be dropped for the child's */
	p = process_fresh(m, child);
	if (!p) {
		space_put(m, space);
		return;
	}
	p->space = space;
	p->read_ns = space ? m->now_ns : 0;
}
