// SPDX-License-Identifier: GPL-2.0-only
/*
 * flame_make.c - the stacks of a session, by what they weigh.
 *
 * With --stacks, the root first: the process's short name, the frames of the stack, the function
 * that the site is in, and the class in brackets.  Without: class, site, caller.
 *
 * A function that is inlined has a frame of its own on that of the function that it is inlined
 * into. Its name ends in "_[i]", as stackcollapse-perf.pl of the FlameGraph tools has it.
 */
#define _GNU_SOURCE
#include "bscope-trace/flame_make.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "bscope/abi.h"
#include "bscope-trace/asks.h"
#include "bscope-trace/options.h"
#include "bscope-trace/report_fill.h"
#include "bscope-trace/session.h"
#include "decode/stacks.h"
#include "flame/flame.h"
#include "flame/flame_svg.h"
#include "model/model.h"
#include "render/report.h"
#include "symbol/symbol.h"
#include "target/sites.h"

/* What a frame may be called; more of a longer name is not shown. */
#define NAME_MAX_BYTES 4096
/* The process, how the stack ends, and the class are frames, too. */
#define FRAMES_MAX (BS_STACK_FRAMES * BS_CODE_FRAMES + 8)

struct weights {
	const char *what, *unit, *nothing;
};
static const struct weights weights[] = {
	[BS_WEIGHT_EVENTS] = {"events", "events", "no event came; see the sites with --list"},
	[BS_WEIGHT_LIVE] = {"live objects", "objects",
			    "no object was alive at the end: try --weight=events or lifetime"},
	[BS_WEIGHT_LIVE_BYTES] = {"live bytes", "bytes",
				  "nothing that says its size was alive at the end: try "
				  "--weight=live or events"},
	[BS_WEIGHT_GROWTH] = {"growth", "bytes/hour",
			      "nothing surely grows: trace for longer, or try --weight=live-bytes"},
	[BS_WEIGHT_LIFETIME] = {"lifetime of dropped objects", "microseconds",
				"no object was seen from its beginning to its end: try "
				"--weight=events or live"},
};

/* The functions at a code address, the innermost first. */
struct names {
	size_t n;
	char *v[];
};

struct maker {
	struct bs_session *s;
	const struct bs_report *r;
	struct bs_flame_made *out;
	enum bs_weight weight;
	bool by_objects; /* growth of what has no bytes */
	/* Names by number of code; [1]: of return addresses. */
	struct names **names[2];
	uint32_t nnames;
	struct bs_flame_frame stack[FRAMES_MAX]; /* the root first */
	size_t n;
	char klass[NAME_MAX_BYTES], site[NAME_MAX_BYTES];
};

/* --- names ------------------------------------------------------------------------------------ */

static void names_free(struct names *names)
{
	for (size_t i = 0; names && i < names->n; i++)
		free(names->v[i]);
	free(names);
}

/* NULL when out of memory. */
static struct names *names_new(struct bs_session *s, uint32_t code, bool is_return)
{
	struct bs_frame frames[BS_CODE_FRAMES];
	size_t n = bs_code_frames(s->code, code, is_return, frames, BS_CODE_FRAMES);
	struct names *names = calloc(1, sizeof(*names) + (n ? n : 1) * sizeof(names->v[0]));
	const char *name;

	if (!names)
		return NULL;
	for (; names->n < n; names->n++)
		if (asprintf(&names->v[names->n], "%s%s", frames[names->n].function,
			     frames[names->n].inlined ? "_[i]" : "") < 0)
			goto fail;
	if (n)
		return names;
	name = bs_code_name(s->code, code, is_return);
	names->v[0] = strdup(name ? name : "?");
	if (!names->v[0])
		goto fail;
	names->n = 1;
	return names;
fail:
	names_free(names);
	return NULL;
}

static const struct names *names_of(struct maker *m, uint32_t code, bool is_return)
{
	struct names **names;

	if (code >= m->nnames) {
		uint32_t n = m->nnames ? 2 * m->nnames : 1024;

		while (n <= code)
			n *= 2;
		for (int i = 0; i < 2; i++) {
			struct names **grown = reallocarray(m->names[i], n, sizeof(*grown));

			if (!grown)
				return NULL;
			memset(&grown[m->nnames], 0, (n - m->nnames) * sizeof(*grown));
			m->names[i] = grown;
		}
		m->nnames = n;
	}
	names = &m->names[is_return][code];
	if (!*names)
		*names = names_new(m->s, code, is_return);
	return *names;
}

static void names_fini(struct maker *m)
{
	for (int i = 0; i < 2; i++) {
		for (uint32_t k = 0; k < m->nnames; k++)
			names_free(m->names[i][k]);
		free(m->names[i]);
	}
}

/* --- stacks ----------------------------------------------------------------------------------- */

static void push(struct maker *m, const char *name)
{
	if (m->n < FRAMES_MAX && name)
		m->stack[m->n++] = (struct bs_flame_frame){.name = name};
}

/* The functions at a code address, the outer ones first. */
static int push_code(struct maker *m, uint32_t code, bool is_return)
{
	const struct names *names = names_of(m, code, is_return);

	if (!names)
		return -ENOMEM;
	for (size_t i = names->n; i-- > 0;)
		push(m, names->v[i]);
	return 0;
}

static int add(struct maker *m, double value)
{
	int ret;

	if (!(value >= 0.5))
		return 0;
	ret = bs_flame_add(m->out->flame, m->stack, m->n, (uint64_t)llround(value));
	if (!ret)
		m->out->total += (uint64_t)llround(value);
	return ret;
}

static const char *site_name(struct maker *m, uint32_t place)
{
	const struct bs_place *p = bs_places_get(m->s->sites, place);

	if (!p)
		return "?";
	snprintf(m->site, sizeof(m->site), "%s%s%s:%u%s", p->function ? p->function : "",
		 p->function ? " (" : "", p->file, p->line, p->function ? ")" : "");
	return m->site;
}

/* The class, and of other marks than new what they are. */
static const char *class_frame(struct maker *m, uint32_t klass_id, uint32_t place)
{
	const char *klass = bs_classes_get(m->s->sites, klass_id);
	const struct bs_place *p = bs_places_get(m->s->sites, place);
	bool is_new = !p || p->kind == BSCOPE_KIND_NEW;

	snprintf(m->klass, sizeof(m->klass), "[%s%s%s]", klass ? klass : "?", is_new ? "" : " ",
		 is_new ? "" : bs_kind_name(p->kind));
	return m->klass;
}

static int stack_add(struct maker *m, const struct bs_stack *k, uint32_t klass_id, double value)
{
	m->n = 0;
	push(m, bs_stacks_name_get(m->s->stacks, k->name));
	if (k->flags & BS_STACK_TRUNCATED)
		push(m, "[truncated]");
	if (k->flags & BS_STACK_BROKEN)
		push(m, "[broken]");
	for (uint32_t i = k->n; i-- > 0;)
		if (push_code(m, k->codes[i], i > 0))
			return -ENOMEM;
	push(m, class_frame(m, klass_id, k->place));
	return add(m, value);
}

/* Without a stack all that is known is what the report says. */
static int origin_add(struct maker *m, const struct bs_stack_row *row, double value)
{
	const char *klass = bs_classes_get(m->s->sites, row->klass_id);
	const struct names *caller = NULL;

	m->n = 0;
	if (m->s->stacks) {
		push(m, "[no stack]");
		if (row->code && push_code(m, row->code, true))
			return -ENOMEM;
		push(m, site_name(m, row->place));
		push(m, class_frame(m, row->klass_id, row->place));
		return add(m, value);
	}
	push(m, klass ? klass : "?");
	push(m, site_name(m, row->place));
	if (row->code && !(caller = names_of(m, row->code, true)))
		return -ENOMEM;
	/* From the site outwards. */
	for (size_t i = 0; caller && i < caller->n; i++)
		push(m, caller->v[i]);
	return add(m, value);
}

/* --- weights ---------------------------------------------------------------------------------- */

/* With sampling, of all objects: what one that was followed stands for in the mean. */
static double times(const struct maker *m, double estimate, uint64_t counted)
{
	return m->r->sampled && counted ? estimate / (double)counted : 1;
}

static double row_value(const struct maker *m, const struct bs_stack_row *row)
{
	const struct bs_estimate *e = &row->estimate;
	double all = times(m, e->created.value, row->created);

	switch (m->weight) {
	case BS_WEIGHT_EVENTS:
		return all * (double)row->created;
	case BS_WEIGHT_LIVE:
		return times(m, e->live.value, row->live) * (double)row->live +
		       all * (double)row->exited;
	case BS_WEIGHT_LIVE_BYTES:
		return times(m, e->live_bytes.value, row->live_bytes) * (double)row->live_bytes +
		       all * (double)row->exited_bytes;
	case BS_WEIGHT_GROWTH:
		if (m->by_objects)
			return row->objects_per_s > row->error_objects_per_s
				       ? row->objects_per_s * 3600
				       : 0;
		return row->bytes_per_s > row->error_bytes_per_s ? row->bytes_per_s * 3600 : 0;
	case BS_WEIGHT_LIFETIME:
		return times(m, e->dropped.value, row->dropped) * row->lifetime_ns / 1e3;
	default:
		return 0;
	}
}

static int stack_ask(struct bs_asks *asks, const struct bs_stack *k)
{
	int ret = 0;

	for (uint32_t i = 0; i < k->n && !ret; i++)
		ret = bs_asks_add(asks, k->codes[i], i > 0);
	return ret;
}

/* All names at once: one by one each takes milliseconds.  What is not found is not an error. */
static int names_find(struct maker *m, const struct bs_stack_row *rows, size_t n,
		      const struct bs_fill_wait *wait)
{
	uint32_t stacks = m->s->stacks ? bs_stacks_count(m->s->stacks) : 0;
	struct bs_asks asks = {0};
	int ret = 0;

	for (size_t i = 0; i < n && !ret; i++) {
		const struct bs_stack *k =
			m->s->stacks ? bs_stacks_get(m->s->stacks, rows[i].code) : NULL;

		if (row_value(m, &rows[i]) >= 0.5)
			ret = k ? stack_ask(&asks, k) : bs_asks_add(&asks, rows[i].code, true);
	}
	for (uint32_t i = 1; m->weight == BS_WEIGHT_EVENTS && i <= stacks && !ret; i++)
		ret = stack_ask(&asks, bs_stacks_get(m->s->stacks, BS_STACK_BIT | i));
	if (!ret &&
	    bs_code_resolve(m->s->code, asks.v, asks.n, wait->more, wait->ctx) == -ECANCELED)
		ret = -ECANCELED;
	bs_asks_fini(&asks);
	return ret;
}

/* Events that make no object have their stacks, too. */
static int others_add(struct maker *m)
{
	double each = m->r->sampled && m->r->sample > 1 ? m->r->sample : 1;
	uint32_t n = m->s->stacks ? bs_stacks_count(m->s->stacks) : 0;
	int ret = 0;

	for (uint32_t i = 1; i <= n && !ret; i++) {
		const struct bs_stack *k = bs_stacks_get(m->s->stacks, BS_STACK_BIT | i);
		const struct bs_place *p = bs_places_get(m->s->sites, k->place);

		if (p && k->kind != BSCOPE_KIND_NEW && k->events)
			ret = stack_add(m, k, p->klass_id, each * (double)k->events);
	}
	return ret;
}

static int rows_add(struct maker *m, const struct bs_stack_row *rows, size_t n)
{
	int ret = 0;

	for (size_t i = 0; i < n && !ret; i++) {
		const struct bs_stack *k =
			m->s->stacks ? bs_stacks_get(m->s->stacks, rows[i].code) : NULL;
		double value = row_value(m, &rows[i]);

		if (!(value >= 0.5))
			continue;
		ret = k ? stack_add(m, k, rows[i].klass_id, value) : origin_add(m, &rows[i], value);
	}
	return ret;
}

static void choose(struct maker *m, const struct bs_stack_row *rows, size_t n)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += rows[i].live_bytes + rows[i].exited_bytes;
	m->weight = m->s->options->weight;
	if (m->weight == BS_WEIGHT_DEFAULT)
		m->weight = bytes ? BS_WEIGHT_LIVE_BYTES : BS_WEIGHT_LIVE;
	m->by_objects = !bytes;
	m->out->what = weights[m->weight].what;
	m->out->unit = weights[m->weight].unit;
	m->out->nothing = weights[m->weight].nothing;
	if (m->weight == BS_WEIGHT_GROWTH && m->by_objects)
		m->out->unit = "objects/hour";
}

/* --- what is said about it -------------------------------------------------------------------- */

static void note(struct bs_flame_made *out, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void note(struct bs_flame_made *out, const char *fmt, ...)
{
	va_list ap;

	if (out->nnotes == sizeof(out->notes) / sizeof(out->notes[0]))
		return;
	va_start(ap, fmt);
	vsnprintf(out->notes[out->nnotes++], sizeof(out->notes[0]), fmt, ap);
	va_end(ap);
}

static void describe(struct maker *m)
{
	const struct bs_report *r = m->r;
	struct bs_flame_made *out = m->out;
	const struct bs_report_process *p = r->nprocesses ? &r->processes[0] : NULL;

	snprintf(out->title, sizeof(out->title), "%s by %s", out->what,
		 r->stacks.asked ? "stack" : "class, site and caller");
	note(out, "%s (pid %u)%s, %.1f s, %s mode", p && p->comm ? p->comm : "?", p ? p->pid : 0,
	     r->nprocesses > 1 ? " and others" : "", (double)r->duration_ns / 1e9, r->mode);
	if (m->weight == BS_WEIGHT_LIVE || m->weight == BS_WEIGHT_LIVE_BYTES)
		note(out, "alive at the end, or when their process exited");
	if (m->weight == BS_WEIGHT_GROWTH)
		note(out, "what grows with its whole 95 %% interval");
	if (r->sampled)
		note(out, "estimates: not all objects were followed%s",
		     m->weight == BS_WEIGHT_EVENTS && r->sample_bytes > 0
			     ? "; marks other than new are those of objects that were"
			     : "");
	if (r->stacks.asked)
		note(out,
		     "%" PRIu64 " stacks by %s, at most %u frames; truncated %" PRIu64
		     ", broken %" PRIu64 ", missing %" PRIu64,
		     r->stacks.taken,
		     r->stacks.copied ? "call frame information" : "frame pointers",
		     m->s->stack_most - 1, r->stacks.truncated, r->stacks.broken,
		     r->stacks.missing);
	if (r->lost)
		note(out, "%" PRIu64 " of %" PRIu64 " events were lost", r->lost, r->written);
}

int bs_flame_make(struct bs_session *s, const struct bs_report *r, struct bs_flame_made *out,
		  const struct bs_fill_wait *wait, struct bs_error *err)
{
	struct maker *m = calloc(1, sizeof(*m));
	struct bs_stack_row *rows = NULL;
	size_t n = 0;
	int ret = -ENOMEM;

	memset(out, 0, sizeof(*out));
	if (!m)
		return bs_error_set(err, -ENOMEM, "out of memory");
	*m = (struct maker){.s = s, .r = r, .out = out};
	out->flame = bs_flame_new();
	if (out->flame)
		ret = bs_model_stacks(s->model, &rows, &n);
	if (!ret) {
		choose(m, rows, n);
		ret = names_find(m, rows, n, wait);
	}
	if (!ret)
		ret = rows_add(m, rows, n);
	if (!ret && m->weight == BS_WEIGHT_EVENTS)
		ret = others_add(m);
	if (!ret)
		describe(m);
	free(rows);
	names_fini(m);
	free(m);
	if (ret == -ECANCELED)
		return bs_error_set(err, ret, "%s: stopped: there is no flamegraph",
				    s->options->flame ? "--flame" : "--folded");
	return ret ? bs_error_set(err, ret, "cannot make the flamegraph: %s", strerror(-ret)) : 0;
}

void bs_flame_made_fini(struct bs_flame_made *m)
{
	bs_flame_free(m->flame);
	memset(m, 0, sizeof(*m));
}

int bs_flame_made_draw(struct bs_flame_made *m, FILE *out)
{
	const char *notes[sizeof(m->notes) / sizeof(m->notes[0])];
	struct bs_flame_svg how = {
		.title = m->title,
		.notes = notes,
		.nnotes = m->nnotes,
		.unit = m->unit,
		.width = BS_FLAME_WIDTH,
		.min_width = BS_FLAME_MIN_WIDTH,
	};

	for (size_t i = 0; i < m->nnotes; i++)
		notes[i] = m->notes[i];
	return bs_flame_svg_write(m->flame, &how, out);
}
