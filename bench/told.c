/* SPDX-License-Identifier: GPL-2.0-only */
/* told.c - followed pieces of a recorded run become events of the model. */
#include "bench/told.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bscope/abi.h"
#include "bscope/buffer.h"

/* Further apart than what has no order between threads. */
#define EVENT_NS (5ull * BS_MODEL_SKEW_NS)
#define START_NS 1000ull

enum { BEGINS, ENDS };

/* A piece begins or ends: one event of the run. */
struct step {
	uint32_t at;
	uint32_t piece;
	uint32_t what;
};

struct told {
	const struct trace *t;
	struct bs_model *m;
	uint8_t *followed;   /* by piece */
	uint32_t *caller_of; /* by stack */
	struct step *steps;
	size_t nsteps, next;
};

static void *must(void *p)
{
	if (p)
		return p;
	fprintf(stderr, "sampling: out of memory\n");
	exit(1);
}

static void must_not(int err)
{
	if (!err)
		return;
	fprintf(stderr, "sampling: the model refuses: %s\n", strerror(-err));
	exit(1);
}

/* Codes are stacks; 0 is none. */
static uint32_t caller_of(void *ctx, uint32_t code)
{
	const struct told *told = ctx;

	return code ? told->caller_of[code - 1] + 1 : 0;
}

static uint32_t klass_of(const struct trace *t, const struct trace_piece *p)
{
	return t->by_stack ? p->caller + 1 : 1;
}

static int by_time(const void *x, const void *y)
{
	const struct step *a = x, *b = y;

	return (a->at > b->at) - (a->at < b->at);
}

static void births(struct told *told)
{
	const struct trace *t = told->t;
	uint8_t *known = must(calloc(t->nstacks + 2 * TRACE_SITES + 1, 1));

	for (size_t i = 0; i < t->npieces; i++) {
		const struct trace_piece *p = &t->pieces[i];

		told->caller_of[p->sizer_stack] = p->sizer;
		if (!p->born || known[p->site])
			continue;
		known[p->site] = 1;
		must_not(bs_model_births(told->m, klass_of(t, p), p->site, p->site, !t->by_stack));
	}
	free(known);
}

struct told *told_new(const struct trace *t, const struct bs_sample *sample, const size_t *pieces,
		      size_t n)
{
	struct told *told = must(calloc(1, sizeof(*told)));
	const struct bs_model_opts opts = {
		.start_ns = START_NS,
		.caller = t->by_stack ? NULL : caller_of,
		.caller_ctx = told,
	};

	told->t = t;
	told->m = must(bs_model_new(&opts));
	told->caller_of = must(calloc(t->nstacks + 1, sizeof(*told->caller_of)));
	told->followed = must(calloc(t->npieces + 1, 1));
	told->steps = must(malloc((3 * n + 1) * sizeof(*told->steps)));
	must_not(bs_model_sample(told->m, START_NS, sample));
	births(told);
	for (size_t i = 0; i < n; i++)
		told->followed[pieces[i]] = 1;
	for (size_t i = 0; i < n; i++) {
		const struct trace_piece *p = &t->pieces[pieces[i]];

		told->steps[told->nsteps++] = (struct step){p->from, (uint32_t)pieces[i], BEGINS};
		if (p->to != UINT32_MAX && !p->unseen)
			told->steps[told->nsteps++] =
				(struct step){p->to, (uint32_t)pieces[i], ENDS};
		if (p->next == UINT32_MAX)
			continue;
		/* That it is followed no more is said when the resize ends. */
		if (!told->followed[p->next])
			told->steps[told->nsteps++] =
				(struct step){t->pieces[p->next].from, p->next, BEGINS};
	}
	qsort(told->steps, told->nsteps, sizeof(*told->steps), by_time);
	return told;
}

void told_free(struct told *told)
{
	bs_model_free(told->m);
	free(told->caller_of);
	free(told->followed);
	free(told->steps);
	free(told);
}

static void step(struct told *told, const struct step *s)
{
	const struct trace *t = told->t;
	const struct trace_piece *p = &t->pieces[s->piece];
	const struct trace_piece *next = p->next == UINT32_MAX ? NULL : &t->pieces[p->next];
	/* Sites of births are places of these numbers, too. */
	uint32_t others = t->by_stack ? t->nstacks : 2 * TRACE_SITES;
	struct bs_event ev = {
		.ts_ns = START_NS + (s->at + 1) * EVENT_NS,
		.id = p->id,
		.pid = 1,
		.tid = 1 + (s->what == ENDS && next ? next->thread : p->thread),
		.klass_id = klass_of(t, p),
		.place = others + 1,
		.type = BS_EVENT_MARK,
	};

	if (s->what == ENDS) {
		ev.kind = next ? BSCOPE_KIND_RESIZE_BEGIN : BSCOPE_KIND_DROP;
		must_not(bs_model_event(told->m, &ev));
		return;
	}
	ev.kind = p->born ? BSCOPE_KIND_NEW : BSCOPE_KIND_RESIZE_END;
	ev.place = p->site;
	ev.arg = p->bytes;
	ev.has = BS_EVENT_HAS_BYTES;
	if (!t->by_stack) {
		ev.has |= BS_EVENT_HAS_CALLER;
		ev.code = p->sizer_stack + 1;
	}
	if (p->born)
		ev.stratum = (uint8_t)trace_stratum(t, p);
	must_not(bs_model_event(told->m, &ev));
	if (told->followed[s->piece])
		return;
	ev.type = BS_EVENT_FORGOTTEN;
	must_not(bs_model_event(told->m, &ev));
}

void told_until(struct told *told, uint32_t event)
{
	while (told->next < told->nsteps && told->steps[told->next].at <= event)
		step(told, &told->steps[told->next++]);
	must_not(bs_model_tick(told->m, START_NS + (event + 1ull) * EVENT_NS));
	/* Each thread has a buffer of its own. */
	bs_model_blocks(told->m, told->t->nthreads);
}

struct bs_estimate told_all(const struct told *told)
{
	struct bs_estimate e;

	must_not(bs_model_estimate(told->m, &e));
	return e;
}

static void not_shown(struct bs_estimate *rows, size_t n)
{
	static const struct bs_interval none = {.value = -1};

	for (size_t i = 0; i < n; i++)
		rows[i] = (struct bs_estimate){none, none, none, none};
}

void told_callers(const struct told *told, struct bs_estimate *rows)
{
	const struct trace *t = told->t;
	struct bs_class_row *classes = NULL;
	struct bs_site_row *sites = NULL;
	size_t n;

	not_shown(rows, t->ncallers);
	if (t->by_stack) {
		must_not(bs_model_classes(told->m, &classes, &n));
		for (size_t i = 0; i < n; i++)
			rows[classes[i].klass_id - 1] = classes[i].estimate;
	} else {
		must_not(bs_model_sites(told->m, 0, &sites, &n));
		for (size_t i = 0; i < n; i++)
			if (sites[i].code)
				rows[sites[i].code - 1] = sites[i].estimate;
	}
	free(classes);
	free(sites);
}

void told_stacks(const struct told *told, struct bs_estimate *rows)
{
	const struct trace *t = told->t;
	struct bs_site_row *sites = NULL;
	struct bs_stack_row *stacks = NULL;
	size_t n;

	not_shown(rows, t->nstacks);
	if (t->by_stack) {
		must_not(bs_model_sites(told->m, 0, &sites, &n));
		for (size_t i = 0; i < n; i++)
			if (sites[i].place <= t->nstacks)
				rows[sites[i].place - 1] = sites[i].estimate;
	} else {
		must_not(bs_model_stacks(told->m, &stacks, &n));
		for (size_t i = 0; i < n; i++)
			if (stacks[i].code)
				rows[stacks[i].code - 1] = stacks[i].estimate;
	}
	free(sites);
	free(stacks);
}
