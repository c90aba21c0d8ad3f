// SPDX-License-Identifier: GPL-2.0-only
/*
 * session_budget.c - --max-overhead: measures what is traced, asks the budget, and carries out what
 * it says: another mean, sites dark or lit again.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "bscope/abi.h"
#include "bscope-trace/budget.h"
#include "bscope-trace/options.h"
#include "bscope-trace/session_state.h"
#include "model/model.h"
#include "target/sites.h"

/* CPU times are known to some ms (proc(5), or the scheduler's own): a period has many of them. */
#define PERIOD_NS NS_PER_S
/* At first nobody knows what the program does. */
#define PERIOD_FIRST_NS (NS_PER_S / 5)
#define FIRST_PERIODS	5
/*
 * A load that comes suddenly is not waited for to the end of a period: what has been recorded says
 * so much earlier.
 */
#define SUDDEN 2.0

struct bs_steering {
	struct bs_budget budget;
	uint64_t next_ns, cpu_ns, full;
	uint64_t period_cpu_ns; /* of the last one */
	unsigned periods;
	/*
	 * After a change, what is measured begins when the model has come to it: what it gets until
	 * then is of objects that were chosen as before.
	 */
	uint64_t settle_ns;
	uint64_t marks; /* recorded when the period began */
	uint64_t began_ns;
	uint64_t *hits; /* by place, at the end of the last period */
	uint32_t nhits;
	uint32_t nsites; /* that groups were made for */
	unsigned means, darkened, relit;
};

static struct bs_budget_group *group_find(struct bs_budget *b, uint32_t klass, unsigned kind)
{
	enum bs_budget_tier tier = bs_budget_tier(kind);

	for (size_t i = 0; i < b->n; i++)
		if (b->groups[i].klass == klass && b->groups[i].tier == tier)
			return &b->groups[i];
	return NULL;
}

static void trouble(struct bs_session *s, const struct bs_error *err, int ret)
{
	if (ret && ret != -ESRCH)
		bs_session_trouble(s, err);
}

static void lighting_follow(struct bs_session *s)
{
	struct bs_error err = {0};

	trouble(s, &err, bs_lighting_follow_choice(&s->lighting, &s->followed, &err));
}

/* Sites that came since the last time.  Those of a group that is dark were lit all the same. */
static int groups_add(struct bs_session *s, struct bs_steering *st)
{
	bool late = false;

	for (; st->nsites < bs_sites_count(s->sites); st->nsites++) {
		const struct bs_expansion *e = bs_sites_get(s->sites, st->nsites + 1);
		struct bs_budget *b = &st->budget;
		struct bs_budget_group *grown, *g = group_find(b, e->klass_id, e->kind);

		if (g && g->off) {
			bs_lighting_choose(&s->lighting, st->nsites + 1, false);
			late = true;
		}
		if (!e->chosen || g)
			continue;
		grown = reallocarray(b->groups, b->n + 1, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		b->groups = grown;
		grown[b->n++] = (struct bs_budget_group){.klass = e->klass_id,
							 .tier = bs_budget_tier(e->kind)};
	}
	if (late)
		lighting_follow(s);
	return 0;
}

/*
 * Marks of the period by group; and what was not followed, as far as the mean tells: marks, and
 * objects (of these all).
 */
static int hits_read(struct bs_session *s, struct bs_steering *st)
{
	uint32_t n = bs_places_count(s->sites) + 1;

	if (n > st->nhits) {
		uint64_t *grown = reallocarray(st->hits, n, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		memset(&grown[st->nhits], 0, (n - st->nhits) * sizeof(*grown));
		st->hits = grown;
		st->nhits = n;
	}
	for (size_t i = 0; i < st->budget.n; i++)
		st->budget.groups[i].hits = 0;
	for (uint32_t i = 1; i < n; i++) {
		const struct bs_place *p = bs_places_get(s->sites, i);
		uint64_t hits = bs_model_hits(s->model, i);
		struct bs_budget_group *g = group_find(&st->budget, p->klass_id, p->kind);

		if (g)
			g->hits += hits - st->hits[i];
		if (bs_budget_tier(p->kind) != BS_TIER_REGION)
			s->skipped += (double)(hits - st->hits[i]) * (st->budget.mean - 1);
		if (p->kind == BSCOPE_KIND_NEW)
			s->objects += (double)(hits - st->hits[i]) * st->budget.mean;
		st->hits[i] = hits;
	}
	return 0;
}

static int group_switch(struct bs_session *s, struct bs_steering *st, struct bs_budget_group *g)
{
	int ret = 0;

	for (uint32_t i = 1; i <= bs_sites_count(s->sites); i++) {
		const struct bs_expansion *e = bs_sites_get(s->sites, i);

		if (e->chosen && e->klass_id == g->klass && bs_budget_tier(e->kind) == g->tier)
			bs_lighting_choose(&s->lighting, i, !g->off);
	}
	/* What is said meanwhile is incomplete, until it is seen that everything is lit again. */
	if (g->off && !g->lit)
		ret = bs_model_class_dark(s->model, g->klass);
	g->lit = !g->off;
	g->forget = g->off && g->tier == BS_TIER_LIFE;
	*(g->off ? &st->darkened : &st->relit) += 1;
	if (s->options->verbose)
		fprintf(stderr, "bscope-trace: %s sites of class %s %s\n",
			bs_budget_tier_name(g->tier), bs_classes_get(s->sites, g->klass),
			g->off ? "are dark: they cost too much" : "are lit again");
	return ret;
}

/* What was changed has been done, as far as processes could be stopped: the model is told. */
static int changes_tell(struct bs_session *s, struct bs_steering *st)
{
	bool due = false;
	int ret = 0;

	for (size_t i = 0; i < st->budget.n && !ret; i++) {
		struct bs_budget_group *g = &st->budget.groups[i];

		if (g->forget)
			ret = bs_model_class_forget(s->model, g->klass, s->watermark_ns);
		g->forget = false;
		due |= g->lit;
	}
	if (!due || ret)
		return ret;
	if (!bs_lighting_as_chosen(&s->lighting, &s->followed)) {
		lighting_follow(s);
		return 0;
	}
	for (size_t i = 0; i < st->budget.n; i++) {
		if (st->budget.groups[i].lit)
			bs_model_class_lit(s->model, st->budget.groups[i].klass, bs_now_ns());
		st->budget.groups[i].lit = false;
	}
	return 0;
}

static int mean_change(struct bs_session *s, struct bs_steering *st, uint64_t now)
{
	const struct bs_sample sample = {BS_SAMPLE_OBJECTS, st->budget.mean, 0};
	struct bs_error err = {0};
	int ret;

	if (sample.mean == s->lighting.sample.mean)
		return 0;
	ret = bs_model_sample(s->model, now, &sample);
	if (ret)
		return ret;
	trouble(s, &err, bs_lighting_sample(&s->lighting, &s->followed, &sample, &err));
	st->means++;
	if (s->options->verbose)
		fprintf(stderr, "bscope-trace: one object in %.0f is followed (%.2f %% spent)\n",
			sample.mean, 100 * st->budget.spent);
	return 0;
}

static uint64_t cpu_now(struct bs_session *s)
{
	for (size_t i = 0; i < s->followed.n; i++)
		if (s->followed.v[i]->alive)
			bs_followed_refresh(s->followed.v[i]);
	return bs_followed_cpu_ns(&s->followed);
}

/* Does what was recorded so far take more than a whole period may? */
static bool sudden(const struct bs_session *s, const struct bs_steering *st, uint64_t cpu_ns)
{
	const struct bs_budget *b = &st->budget;
	double period = cpu_ns > PERIOD_NS ? (double)cpu_ns : PERIOD_NS;

	return (double)(s->marks - st->marks) * b->cost.follow > SUDDEN * b->share * period;
}

/* The next period begins. */
static void begin(struct bs_session *s, struct bs_steering *st, uint64_t now)
{
	bool soon = st->periods++ < FIRST_PERIODS || st->budget.probing;

	st->began_ns = now;
	st->next_ns = now + (soon ? PERIOD_FIRST_NS : PERIOD_NS);
	st->marks = s->marks;
}

/* What the budget says is done. */
static int decide(struct bs_session *s, struct bs_steering *st, uint64_t now, uint64_t cpu_ns)
{
	uint64_t full = bs_lighting_sample_full(&s->lighting, &s->followed);
	bool *off = calloc(st->budget.n + 1, sizeof(*off));
	bool switched = false;
	int ret = 0;

	if (!off)
		return -ENOMEM;
	for (size_t i = 0; i < st->budget.n; i++)
		off[i] = st->budget.groups[i].off;
	if (bs_budget_step(&st->budget, cpu_ns, full > st->full ? full - st->full : 0)) {
		ret = mean_change(s, st, now);
		for (size_t i = 0; i < st->budget.n && !ret; i++)
			if (off[i] != st->budget.groups[i].off)
				switched = !(ret = group_switch(s, st, &st->budget.groups[i]));
		/* All at once: each costs a stop. */
		if (switched)
			lighting_follow(s);
		st->settle_ns = bs_now_ns();
	}
	st->full = full;
	free(off);
	return ret;
}

int bs_session_steer(struct bs_session *s, uint64_t now)
{
	struct bs_steering *st = s->steering;
	uint64_t cpu;
	int ret;

	if (!st || (st->settle_ns && s->watermark_ns < st->settle_ns))
		return 0;
	if (st->settle_ns) {
		ret = hits_read(s, st);
		if (!ret)
			ret = changes_tell(s, st);
		st->settle_ns = 0;
		st->cpu_ns = cpu_now(s);
		begin(s, st, now);
		return ret;
	}
	if (now < st->next_ns &&
	    (now < st->began_ns + PERIOD_FIRST_NS / 2 || !sudden(s, st, st->period_cpu_ns)))
		return 0;
	cpu = cpu_now(s);
	/* Of too little nothing can be said: it is part of the next period. */
	if (cpu < st->cpu_ns + BS_BUDGET_LEAST_NS) {
		st->next_ns = now + PERIOD_FIRST_NS;
		return 0;
	}
	ret = groups_add(s, st);
	if (!ret)
		ret = hits_read(s, st);
	if (!ret)
		ret = changes_tell(s, st);
	if (ret)
		return ret;
	st->period_cpu_ns = cpu - st->cpu_ns;
	ret = decide(s, st, now, st->period_cpu_ns);
	st->cpu_ns = cpu;
	begin(s, st, bs_now_ns());
	return ret;
}

int bs_session_steering_new(struct bs_session *s)
{
	struct bs_steering *st;

	if (!(s->options->max_overhead > 0))
		return 0;
	st = calloc(1, sizeof(*st));
	if (!st)
		return -ENOMEM;
	st->budget.share = s->options->max_overhead / 100;
	st->budget.mean = s->lighting.sample.mean;
	st->budget.cost = (struct bs_budget_cost){s->lighting.cost.skip, s->lighting.cost.follow,
						  s->lighting.cost.object};
	begin(s, st, s->start_ns);
	st->cpu_ns = cpu_now(s);
	s->steering = st;
	if (s->options->verbose)
		fprintf(stderr,
			"bscope-trace: a mark costs %.1f ns, %.1f ns if its object is followed, an "
			"object that is not in the cache %.0f ns more\n",
			st->budget.cost.skip, st->budget.cost.follow, st->budget.cost.object);
	return 0;
}

int bs_session_steering_end(struct bs_session *s)
{
	return s->steering ? changes_tell(s, s->steering) : 0;
}

void bs_session_steering_free(struct bs_session *s)
{
	if (!s->steering)
		return;
	free(s->steering->budget.groups);
	free(s->steering->hits);
	free(s->steering);
	s->steering = NULL;
}

void bs_session_steering_say(const struct bs_session *s, char *buf, size_t size)
{
	const struct bs_steering *st = s->steering;
	size_t dark = 0, at;

	for (size_t i = 0; i < st->budget.n; i++)
		dark += st->budget.groups[i].off;
	snprintf(
		buf, size,
		"--max-overhead=%g: one object in %.0f was followed at the end (changed %u time%s)",
		s->options->max_overhead, st->budget.mean, st->means, st->means == 1 ? "" : "s");
	at = strlen(buf);
	if (s->lighting.trapped) {
		snprintf(
			buf + at, size - at,
			"; what is lit by traps costs more than is counted, and is not held to it");
		at = strlen(buf);
	}
	if (!st->darkened)
		return;
	snprintf(buf + at, size - at,
		 "; sites went dark %u time%s and were lit again %u time%s; dark at the end:%s",
		 st->darkened, st->darkened == 1 ? "" : "s", st->relit, st->relit == 1 ? "" : "s",
		 dark ? "" : " none");
	for (size_t i = 0; i < st->budget.n; i++) {
		const struct bs_budget_group *g = &st->budget.groups[i];

		at = strlen(buf);
		if (g->off)
			snprintf(buf + at, size - at, " %s of %s", bs_budget_tier_name(g->tier),
				 bs_classes_get(s->sites, g->klass));
	}
}
