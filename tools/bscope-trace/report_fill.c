/* SPDX-License-Identifier: GPL-2.0-only */
/* report_fill.c - from a finished session to the plain data that the renderers take. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "bscope/abi.h"
#include "bscope-trace/command.h"
#include "bscope-trace/fail_on.h"
#include "bscope-trace/options.h"
#include "bscope-trace/overhead.h"
#include "bscope-trace/report_fill.h"
#include "bscope-trace/report_notes.h"
#include "bscope-trace/session.h"
#include "decode/stacks.h"
#include "model/model.h"
#include "order/order.h"
#include "symbol/symbol.h"
#include "target/module.h"
#include "target/sites.h"

/* Everything that a report owns hangs on one chain, so that one loop frees it. */
struct chunk {
	struct chunk *next;
	max_align_t data[];
};

struct fill {
	struct bs_session *s;
	struct chunk *chunks;
	const char **place_names; /* "file:line" by place, made when first asked for */
	const char **notes;
	size_t nnotes;
	struct caller {
		const char **slot; /* what is to point to the name */
		uint32_t code;
	} * callers; /* that are still to be named: all at once is much faster */
	size_t ncallers, callers_room;
	bool failed; /* out of memory somewhere */
};

#define NOTES_MAX 20

static void *keep(struct fill *f, size_t n, size_t size)
{
	struct chunk *c = NULL;
	size_t bytes;

	if (!__builtin_mul_overflow(n ? n : 1, size, &bytes))
		c = calloc(1, sizeof(*c) + bytes);
	if (!c) {
		f->failed = true;
		return NULL;
	}
	c->next = f->chunks;
	f->chunks = c;
	return c->data;
}

static const char *keep_string(struct fill *f, const char *s)
{
	char *copy = keep(f, strlen(s) + 1, 1);

	return copy ? strcpy(copy, s) : "?";
}

static void note(struct fill *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void note(struct fill *f, const char *fmt, ...)
{
	char text[1200];
	va_list ap;

	if (f->nnotes == NOTES_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	f->notes[f->nnotes++] = keep_string(f, text);
}

static const char *place_name(struct fill *f, uint32_t place)
{
	const struct bs_place *p = bs_places_get(f->s->sites, place);
	char *name;
	size_t size;

	if (!p)
		return "?";
	if (f->place_names[place])
		return f->place_names[place];
	size = strlen(p->file) + 16;
	name = keep(f, size, 1);
	if (!name)
		return "?";
	snprintf(name, size, "%s:%u", p->file, p->line);
	return f->place_names[place] = name;
}

static const char *place_function(const struct fill *f, uint32_t place)
{
	const struct bs_place *p = bs_places_get(f->s->sites, place);

	return p ? p->function : NULL;
}

/* *slot, which stays where it is, is to point to the name of a caller, or to be NULL for 0. */
static void name_later(struct fill *f, const char **slot, uint32_t code)
{
	struct caller *grown;

	*slot = NULL;
	if (!code)
		return;
	if (f->ncallers == f->callers_room) {
		size_t room = f->callers_room ? f->callers_room * 2 : 256;

		grown = reallocarray(f->callers, room, sizeof(*grown));
		if (!grown) {
			f->failed = true;
			return;
		}
		f->callers = grown;
		f->callers_room = room;
	}
	f->callers[f->ncallers++] = (struct caller){slot, code};
}

static const char *class_name(const struct fill *f, uint32_t klass_id)
{
	const char *name = bs_classes_get(f->s->sites, klass_id);

	return name ? name : "?";
}

static struct bs_report_lifetime lifetime(const struct bs_lifetime *l)
{
	return (struct bs_report_lifetime){l->count, l->p50_ns, l->p90_ns, l->p99_ns, l->max_ns};
}

static void site_set(struct bs_report_site *r, const struct bs_place *p)
{
	r->kind = bs_kind_name(p->kind);
	r->file = p->file;
	r->function = p->function;
	r->name = p->name;
	r->klass = p->klass;
	r->binary = p->binary;
	r->line = p->line;
	r->lit = p->lit;
	r->addresses = p->addresses;
	r->naddresses = p->naddresses;
}

struct bs_report_site *bs_report_sites(const struct bs_sites *sites, size_t *n)
{
	uint32_t count = bs_places_count(sites);
	struct bs_report_site *rows = calloc(count ? count : 1, sizeof(*rows));

	*n = 0;
	for (uint32_t i = 1; rows && i <= count; i++) {
		const struct bs_place *p = bs_places_get(sites, i);

		if (p->lit)
			site_set(&rows[(*n)++], p);
	}
	return rows;
}

static void fill_processes(struct fill *f, struct bs_report *r)
{
	const struct bs_followed *all = &f->s->followed;
	struct bs_report_process *rows = keep(f, all->n, sizeof(*rows));

	for (size_t i = 0; rows && i < all->n; i++) {
		const struct bs_process *p = all->v[i];

		rows[i] = (struct bs_report_process){(uint32_t)p->pid, p->comm, p->exe, !p->alive};
		r->nprocesses++;
	}
	r->processes = rows;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static void fill_events(struct fill *f, struct bs_report *r)
{
	static const char ring_text[] =
		"ring buffer full: raise --buffer or light fewer sites with -f";
	const struct bs_collect_counts *c = &f->s->counts;
	const struct bs_buffers_counts *j = &f->s->jumps;
	struct bs_report_reason *reasons = keep(f, 7, sizeof(*reasons));
	struct bs_model_totals t;
	uint64_t traps, jumps, ring, no_buffer, abandoned, unaccounted, at_most, overwritten = 0;

	bs_model_totals(f->s->model, &t);
	r->written = c->sum.written + c->missed + j->written;
	r->received = c->received + j->received;
	at_most = j->at_most;
	/* Whole batches, too, and those of children that nobody knew of. */
	if (at_most)
		at_most += c->sum.batch_lost * BSCOPE_BATCH_SLOTS;
	else if (c->sum.life_lost)
		at_most += c->sum.last_lost * BSCOPE_BATCH_SLOTS;
	r->written_at_most = at_most ? r->written + at_most : 0;
	r->written_unknown = at_most || j->no_bound;
	/*
	 * written is counted before anything can fail, received here, lost where it was lost.  A
	 * difference between them would be a defect of this tool: it is shown, not hidden.
	 */
	r->lost = r->written > r->received ? r->written - r->received : 0;
	traps = less(c->sum.written + c->missed, c->received);
	ring = c->sum.lost_ring;
	unaccounted = less(traps, ring + c->sum.lost_spec + c->missed);
	/*
	 * Of buffers the program itself counts what it writes.  What did not come, though nobody
	 * abandoned it, was jumped over: it had been written over before it was read.
	 */
	jumps = less(j->written, j->received);
	no_buffer = jumps < j->no_buffer ? jumps : j->no_buffer;
	jumps -= no_buffer;
	abandoned = jumps < j->abandoned ? jumps : j->abandoned;
	jumps -= abandoned;
	*(!j->skipped ? &unaccounted : c->sum.batch_lost ? &ring : &overwritten) += jumps;
	if (reasons) {
		reasons[0] = (struct bs_report_reason){"ring_full", ring_text, ring};
		reasons[1] = (struct bs_report_reason){
			"not_run",
			"the kernel did not run the probe's program (it was busy with another)",
			c->missed};
		reasons[2] = (struct bs_report_reason){
			"no_site", "a site that the table does not know: a defect of bscope-trace",
			c->sum.lost_spec};
		reasons[3] = (struct bs_report_reason){
			"no_buffer", "more threads at once than the program has buffers for",
			no_buffer};
		reasons[4] = (struct bs_report_reason){
			"abandoned",
			"the thread was interrupted in the middle of it, and ended or did not come back in time",
			abandoned};
		reasons[5] = (struct bs_report_reason){
			"overwritten",
			"written over before it was read: a signal handler made very many",
			overwritten};
		reasons[6] = (struct bs_report_reason){
			"unaccounted", "nobody knows where: a defect of bscope-trace", unaccounted};
		r->reasons = reasons;
		r->nreasons = 7;
	}
	for (size_t k = 0; k < 16; k++)
		r->by_kind[k] = t.marks[k];
	r->created = t.created;
	r->dropped = t.dropped;
	r->live = t.live;
	r->live_bytes = t.live_bytes;
	r->adopted = t.adopted;
	r->vanished = t.vanished;
	r->exited = t.exited;
	r->unknown = t.unknown;
	if (r->received > r->written || j->received > j->written || c->received > c->sum.written)
		note(f,
		     "the counts contradict each other (%llu written, %llu received): a defect of "
		     "bscope-trace",
		     (unsigned long long)r->written, (unsigned long long)r->received);
	if (f->s->decoder.bad)
		note(f, "%llu records could not be decoded: a defect of bscope-trace",
		     (unsigned long long)f->s->decoder.bad);
	if (bs_order_late(f->s->order))
		note(f, "%llu events came too late to be put in order between threads",
		     (unsigned long long)bs_order_late(f->s->order));
	if (c->sum.traced_full)
		note(f, "%llu children were not traced: at most %u processes at a time are",
		     (unsigned long long)c->sum.traced_full, BS_TRACED_MAX);
	if (c->sum.life_lost)
		note(f,
		     "%llu records of forks, execs or exits were lost: children that came and went "
		     "meanwhile may be missing above",
		     (unsigned long long)c->sum.life_lost);
}

static void fill_sites(struct fill *f, struct bs_report *r)
{
	uint32_t n = bs_places_count(f->s->sites);
	struct bs_report_site *rows = keep(f, n, sizeof(*rows));

	for (uint32_t i = 1; rows && i <= n; i++) {
		site_set(&rows[i - 1], bs_places_get(f->s->sites, i));
		rows[i - 1].hits = bs_model_hits(f->s->model, i);
		r->nsites++;
	}
	r->sites = rows;
}

static struct bs_report_interval interval(const struct bs_interval *v)
{
	return (struct bs_report_interval){v->value, v->low, v->high};
}

static struct bs_report_estimate estimate(const struct bs_estimate *e)
{
	return (struct bs_report_estimate){
		.created = interval(&e->created),
		.dropped = interval(&e->dropped),
		.live = interval(&e->live),
		.live_bytes = interval(&e->live_bytes),
	};
}

static void fill_sample(struct fill *f, struct bs_report *r)
{
	const struct bs_sample *s = &f->s->lighting.sample;

	r->sample = s->by == BS_SAMPLE_OBJECTS || s->by == BS_SAMPLE_EITHER ? s->mean : 1;
	r->sample_bytes = bs_sample_bytes(s) ? s->mean_bytes : 0;
	r->sampled = s->by != BS_SAMPLE_NOT;
	if (f->s->steering) {
		char text[512];

		bs_session_steering_say(f->s, text, sizeof(text));
		note(f, "%s", text);
	}
	if (f->s->sample_full)
		note(f,
		     "%llu objects that were to be followed found no place in the table: their "
		     "lives are unknown, and dropped and live objects are underestimated; follow "
		     "fewer (-s)",
		     (unsigned long long)f->s->sample_full);
	if (f->s->sample_left)
		note(f,
		     "%llu objects that were followed by traps were too many to be followed by "
		     "jumps: their lives are unknown, and dropped and live objects are "
		     "underestimated; follow fewer (-s), or use -m trap",
		     (unsigned long long)f->s->sample_left);
}

static int fill_estimate(struct fill *f, struct bs_report *r)
{
	struct bs_estimate e;
	int ret = bs_model_estimate(f->s->model, &e);

	if (!ret)
		r->estimate = estimate(&e);
	return ret;
}

static int fill_classes(struct fill *f, struct bs_report *r)
{
	struct bs_class_row *rows = NULL;
	struct bs_report_class *out;
	size_t n = 0;
	int ret = bs_model_classes(f->s->model, &rows, &n);

	if (ret)
		return ret;
	out = keep(f, n, sizeof(*out));
	for (size_t i = 0; out && i < n; i++)
		out[i] = (struct bs_report_class){
			.klass = class_name(f, rows[i].klass_id),
			.created = rows[i].created,
			.dropped = rows[i].dropped,
			.live = rows[i].live,
			.live_bytes = rows[i].live_bytes,
			.unknown = rows[i].unknown,
			.lifetime = lifetime(&rows[i].lifetime),
			.estimate = estimate(&rows[i].estimate),
		};
	r->classes = out;
	r->nclasses = out ? n : 0;
	free(rows);
	return 0;
}

static int fill_origins(struct fill *f, uint64_t min_age_ns,
			const struct bs_report_origin **origins, size_t *norigins)
{
	struct bs_site_row *rows = NULL;
	struct bs_report_origin *out;
	size_t n = 0;
	int ret = bs_model_sites(f->s->model, min_age_ns, &rows, &n);

	if (ret)
		return ret;
	out = keep(f, n, sizeof(*out));
	for (size_t i = 0; out && i < n; i++) {
		out[i] = (struct bs_report_origin){
			.klass = class_name(f, rows[i].klass_id),
			.site = place_name(f, rows[i].place),
			.function = place_function(f, rows[i].place),
			.created = rows[i].created,
			.dropped = rows[i].dropped,
			.live = rows[i].live,
			.live_bytes = rows[i].live_bytes,
			.oldest_ns = rows[i].oldest_ns,
			.lifetime = lifetime(&rows[i].lifetime),
			.estimate = estimate(&rows[i].estimate),
		};
		name_later(f, &out[i].caller, rows[i].code);
	}
	*origins = out;
	*norigins = out ? n : 0;
	free(rows);
	return 0;
}

static int fill_growth(struct fill *f, struct bs_report *r)
{
	struct bs_growth_row *rows = NULL;
	struct bs_report_growth *out;
	size_t n = 0;
	int ret = bs_model_growth(f->s->model, &rows, &n);

	if (ret)
		return ret;
	out = keep(f, n, sizeof(*out));
	for (size_t i = 0; out && i < n; i++) {
		out[i] = (struct bs_report_growth){
			.klass = class_name(f, rows[i].klass_id),
			.site = place_name(f, rows[i].place),
			.function = place_function(f, rows[i].place),
			.live = rows[i].live,
			.live_bytes = rows[i].live_bytes,
			.oldest_ns = rows[i].oldest_ns,
			.bytes_per_s = rows[i].bytes_per_s,
			.error = rows[i].error_bytes_per_s,
			.objects_per_s = rows[i].objects_per_s,
			.objects_error = rows[i].error_objects_per_s,
			.sure = rows[i].sure_bytes_per_s > 0,
			.estimate = estimate(&rows[i].estimate),
		};
		name_later(f, &out[i].caller, rows[i].code);
	}
	r->growth = out;
	r->ngrowth = out ? n : 0;
	free(rows);
	return 0;
}

static int fill_exits(struct fill *f, struct bs_report *r)
{
	struct bs_exit_row *rows = NULL;
	struct bs_report_exit *out;
	size_t n = 0;
	int ret = bs_model_at_exit(f->s->model, &rows, &n);

	if (ret)
		return ret;
	out = keep(f, n, sizeof(*out));
	for (size_t i = 0; out && i < n; i++) {
		out[i] = (struct bs_report_exit){
			.pid = rows[i].pid,
			.klass = class_name(f, rows[i].klass_id),
			.site = place_name(f, rows[i].place),
			.function = place_function(f, rows[i].place),
			.count = rows[i].count,
			.bytes = rows[i].bytes,
			.all_count = interval(&rows[i].estimate.count),
			.all_bytes = interval(&rows[i].estimate.bytes),
		};
		name_later(f, &out[i].caller, rows[i].code);
	}
	r->at_exit = out;
	r->nat_exit = out ? n : 0;
	free(rows);
	return 0;
}

static void fill_mark(struct fill *f, struct bs_report_mark *m, uint32_t place, uint32_t code,
		      uint32_t tid, uint64_t ns)
{
	const struct bs_place *p = bs_places_get(f->s->sites, place);

	*m = (struct bs_report_mark){"?", "?", "?", NULL, "?", 0, tid, ns, NULL};
	name_later(f, &m->caller, code);
	if (p) {
		m->kind = bs_kind_name(p->kind);
		m->klass = p->klass;
		m->file = p->file;
		m->function = p->function;
		m->name = p->name;
		m->line = p->line;
	}
}

static int fill_verdicts(struct fill *f, struct bs_report *r)
{
	struct bs_verdict_row *rows = NULL;
	struct bs_report_verdict *out;
	size_t n = 0;
	int ret = bs_model_verdicts(f->s->model, &rows, &n);

	if (ret)
		return ret;
	out = keep(f, n, sizeof(*out));
	for (size_t i = 0; out && i < n; i++) {
		out[i] = (struct bs_report_verdict){
			.verdict = bs_verdict_name(rows[i].verdict),
			.klass = class_name(f, rows[i].klass_id),
			.id = rows[i].id,
			.pid = rows[i].pid,
			.count = rows[i].count,
			.counted = rows[i].verdict == BS_VERDICT_UNBALANCED_COUNT,
			.balance = rows[i].balance,
		};
		fill_mark(f, &out[i].at, rows[i].at, rows[i].at_code, rows[i].tid, rows[i].at_ns);
		fill_mark(f, &out[i].since, rows[i].since, rows[i].since_code, rows[i].since_tid,
			  rows[i].since_ns);
	}
	r->verdicts = out;
	r->nverdicts = out ? n : 0;
	r->undecided = bs_model_undecided(f->s->model);
	free(rows);
	return 0;
}

static int fill_cycles(struct fill *f, struct bs_report *r)
{
	struct bs_cycle_row *rows = NULL;
	struct bs_report_cycle *out;
	size_t n = 0;
	int ret = bs_model_cycles(f->s->model, &rows, &n);

	if (ret)
		return ret;
	out = keep(f, n, sizeof(*out));
	for (size_t i = 0; out && i < n; i++) {
		struct bs_report_cycle_edge *edges = keep(f, rows[i].n, sizeof(*edges));

		for (size_t k = 0; edges && k < rows[i].n; k++) {
			const struct bs_cycle_edge *e = &rows[i].edges[k];

			fill_mark(f, &edges[k].held, e->held_place, e->held_code, e->tid,
				  e->held_ns);
			fill_mark(f, &edges[k].wanted, e->place, e->code, e->tid, e->ns);
			edges[k].held_id = e->held_id;
			edges[k].wanted_id = e->id;
		}
		out[i] = (struct bs_report_cycle){rows[i].pid, edges, edges ? rows[i].n : 0,
						  rows[i].count};
	}
	r->cycles = out;
	r->ncycles = out ? n : 0;
	free(rows);
	return 0;
}

static int fill_lock_uses(struct fill *f, struct bs_report *r)
{
	struct bs_lock_row *rows = NULL;
	struct bs_report_lock_use *out;
	size_t n = 0;
	int ret = bs_model_lock_uses(f->s->model, &rows, &n);

	if (ret)
		return ret;
	out = keep(f, n, sizeof(*out));
	for (size_t i = 0; out && i < n; i++) {
		out[i] = (struct bs_report_lock_use){
			.klass = class_name(f, rows[i].klass_id),
			.site = place_name(f, rows[i].place),
			.function = place_function(f, rows[i].place),
			.held = lifetime(&rows[i].held),
		};
		name_later(f, &out[i].caller, rows[i].code);
	}
	r->lock_uses = out;
	r->nlock_uses = out ? n : 0;
	free(rows);
	return 0;
}

/* Callers get their names, or what they are without one when somebody does not want to wait. */
static int fill_callers(struct fill *f, const struct bs_fill_wait *wait)
{
	struct bs_code *c = f->s->code;
	struct bs_code_ask *asks = keep(f, f->ncallers, sizeof(*asks));
	const char *failed;
	size_t nfailed;
	int ret;

	if (!asks)
		return -ENOMEM;
	for (size_t i = 0; i < f->ncallers; i++)
		asks[i] = (struct bs_code_ask){f->callers[i].code, true};
	ret = bs_code_resolve(c, asks, f->ncallers, wait->more, wait->ctx);
	for (size_t i = 0; i < f->ncallers; i++) {
		const char *name = bs_code_name(c, f->callers[i].code, true);

		if (name)
			*f->callers[i].slot = keep_string(f, name);
	}
	if (bs_code_full(c))
		note(f, "more files were mapped than are kept: code in the others is shown by its "
			"address");
	nfailed = bs_code_failed(c, &failed);
	if (ret == -ECANCELED)
		note(f,
		     "the search for the names of callers was stopped: some are without lines, or "
		     "mangled");
	else if (ret)
		note(f,
		     "not all names of callers were looked for (%s): some are without lines, or "
		     "mangled",
		     strerror(-ret));
	if (nfailed == 1)
		note(f,
		     "the debug information of %s is damaged or too large: some of its callers are "
		     "without lines, or mangled",
		     failed);
	else if (nfailed)
		note(f,
		     "the debug information of %s and %zu more files is damaged or too large: some of "
		     "their callers are without lines, or mangled",
		     failed, nfailed - 1);
	return 0;
}

/*
 * With sampling, what marks cost that nobody recorded, in ns: how many they were follows from those
 * that were, and how many objects each of these stands for.  Of each object something has to be
 * fetched: from how far depends on the program and on what else runs; it is taken for as far as can
 * be.
 */
static double skipped_ns(const struct fill *f, const struct bs_report *r)
{
	const struct bs_session *s = f->s;
	double marks = (double)(r->received - r->by_kind[BSCOPE_KIND_REGION_ENTER] -
				r->by_kind[BSCOPE_KIND_REGION_EXIT]);
	double others = s->skipped, objects = s->objects;

	if (!r->sampled || !s->lighting.jumped)
		return 0;
	if (!s->steering) {
		others = r->created ? marks * (r->estimate.created.value / (double)r->created - 1)
				    : 0;
		objects = r->estimate.created.value;
	}
	return others * s->lighting.cost.skip + objects * s->lighting.cost.object +
	       marks * (s->lighting.cost.follow - s->lighting.cost.one);
}

static void fill_stacks(struct fill *f, struct bs_report *r)
{
	const struct bs_session *s = f->s;
	struct bs_report_stacks *to = &r->stacks;
	double frames = 0;

	if (!s->stacks)
		return;
	to->asked = true;
	to->copied = s->options->stack_bytes;
	to->taken = s->decoder.stacked;
	to->missing = s->decoder.unstacked;
	to->lost = s->counts.sum.stacks_lost;
	to->beyond = bs_stacks_beyond(s->stacks);
	to->no_event = less(s->stacks_taken, to->taken);
	for (uint32_t i = 1; i <= bs_stacks_count(s->stacks); i++) {
		const struct bs_stack *k = bs_stacks_get(s->stacks, BS_STACK_BIT | i);

		to->distinct += k->events != 0;
		frames += (double)k->n * (double)k->events;
		to->truncated += k->flags & BS_STACK_TRUNCATED ? k->events : 0;
		to->broken += k->flags & BS_STACK_BROKEN ? k->events : 0;
	}
	to->ns = bs_collect_ns_per_stack(s->collect, to->taken ? frames / (double)to->taken : 0);
}

/* What stacks cost beyond their events: a trap of their own, where the events are no traps. */
static double stacks_ns(const struct fill *f, const struct bs_report *r, double traps)
{
	double hit = bs_collect_ns_per_hit(f->s->collect), ns = r->stacks.ns;
	double stacks = (double)(r->stacks.taken + r->stacks.lost + r->stacks.no_event);
	double with = f->s->lighting.jumped ? 0 : stacks < traps ? stacks : traps;

	return r->stacks.asked && ns > 0 ? stacks * ns - with * hit : 0;
}

static void fill_cost(struct fill *f, struct bs_report *r)
{
	const struct bs_session *s = f->s;
	uint64_t cpu = bs_followed_cpu_ns(&s->followed);

	double traps = (double)less(r->written, s->jumps.written);
	double jumps = (double)s->jumps.written, pairs = (double)s->jumps.extra, ns, stack;

	if (pairs > jumps)
		pairs = jumps;
	ns = s->lighting.cost.one * (jumps - pairs) + s->lighting.cost.two * pairs;
	if (jumps > 0 && s->lighting.jumped)
		r->ns_per_event = ns / jumps;
	else if (s->options->mode == BS_MODE_JUMP && !s->lighting.jumped)
		r->ns_per_event = s->lighting.cost.one;
	else
		r->ns_per_event = bs_collect_ns_per_hit(s->collect);
	stack = stacks_ns(f, r, traps);
	if (r->written)
		r->ns_per_event += stack / (double)r->written;
	ns += bs_collect_ns_per_hit(s->collect) * traps + skipped_ns(f, r) + stack;
	r->cpu_percent = cpu ? 100.0 * ns / (double)cpu : -1;
	/* Of what was not followed nothing is known when nothing was. */
	if (r->sampled && s->lighting.jumped && !s->steering && !r->created)
		r->cpu_percent = -1;
	/* Processes that came and went between two looks leave too little CPU time behind. */
	if (r->cpu_percent > 100)
		r->cpu_percent = -1;
	r->tool_cpu_percent = s->tool_ns ? 100.0 * (double)s->tool_cpu_ns / (double)s->tool_ns : 0;
	r->pause_us = (double)s->lighting.pause_ns / 1e3;
}

static void say(void *f, const char *text)
{
	note(f, "%s", text);
}

static void fill_sampled(struct fill *f, struct bs_report *r)
{
	struct bs_report_sampled *p;

	if (!f->s->overhead)
		return;
	p = keep(f, 1, sizeof(*p));
	if (!p)
		return;
	bs_overhead_report(f->s, r, p);
	r->profiled = p;
	bs_overhead_notes(f->s, r, say, f);
}

int bs_report_fill(struct bs_session *s, const struct bs_fill_wait *wait, struct bs_filled *out,
		   struct bs_error *err)
{
	bool jump;
	struct fill f = {.s = s};
	struct bs_report *r = &out->report;
	int ret;

	memset(out, 0, sizeof(*out));
	f.place_names = keep(&f, bs_places_count(s->sites) + 1u, sizeof(*f.place_names));
	f.notes = keep(&f, NOTES_MAX, sizeof(*f.notes));
	ret = -ENOMEM;
	if (f.failed)
		goto out;
	r->version = BSCOPE_VERSION;
	jump = s->lighting.jumped || s->options->mode == BS_MODE_JUMP;
	r->mode = jump ? "jump" : "trap";
	r->method = jump ? NULL : bs_collect_method(s->collect);
	r->clock = s->options->coarse && s->lighting.jumped ? "coarse" : "precise";
	fill_sample(&f, r);
	r->start_ns = s->start_real_ns;
	r->start_monotonic_ns = s->start_ns;
	r->duration_ns = s->end_ns - s->start_ns;
	r->verbose = s->options->verbose;
	r->older_than_ns = s->options->older_than_ns;
	r->has_command = s->command != NULL;
	if (s->command)
		r->command_status = s->command->running ? BS_COMMAND_RUNS : s->command->status;
	fill_processes(&f, r);
	fill_events(&f, r);
	fill_sites(&f, r);
	ret = fill_estimate(&f, r);
	fill_stacks(&f, r);
	fill_cost(&f, r);
	fill_sampled(&f, r);
	if (!ret)
		ret = fill_classes(&f, r);
	if (!ret)
		ret = fill_origins(&f, 0, &r->origins, &r->norigins);
	if (!ret && r->older_than_ns)
		ret = fill_origins(&f, r->older_than_ns, &r->older, &r->nolder);
	if (!ret)
		ret = fill_growth(&f, r);
	if (!ret)
		ret = fill_exits(&f, r);
	if (!ret)
		ret = fill_verdicts(&f, r);
	if (!ret)
		ret = fill_cycles(&f, r);
	if (!ret)
		ret = fill_lock_uses(&f, r);
	if (!ret && !f.failed)
		ret = fill_callers(&f, wait);
	if (!ret)
		bs_report_notes(s, r, say, &f);
	r->notes = f.notes;
	r->nnotes = f.nnotes;
	if (!ret && f.failed)
		ret = -ENOMEM;
out:
	free(f.callers);
	out->memory = f.chunks;
	if (ret) {
		bs_report_fini(out);
		return bs_error_set(err, ret, "cannot make the report: %s", strerror(-ret));
	}
	return 0;
}

void bs_report_fini(struct bs_filled *f)
{
	struct chunk *c = f->memory;

	while (c) {
		struct chunk *next = c->next;

		free(c);
		c = next;
	}
	memset(f, 0, sizeof(*f));
}
