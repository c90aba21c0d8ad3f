// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_render_json.c - the golden documents, and random reports that a foreign parser reads
 * back member by member.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>

#include "render_check.h"
#include "render_sample.h"

static void stream_errors(void **state)
{
	FILE *full = fopen("/dev/full", "w");

	(void)state;
	assert_non_null(full);
	assert_int_equal(bs_render_json(full, &sample_leak), -ENOSPC);
	fclose(full);
	full = fopen("/dev/full", "w");
	assert_non_null(full);
	setvbuf(full, NULL, _IONBF, 0); /* fails in the middle instead of at the end */
	assert_int_equal(bs_render_list(full, leak_sites, N(leak_sites), true), -ENOSPC);
	fclose(full);
}

#define FFFD "\xef\xbf\xbd"

/* --- golden documents ---------------------------------------------------------------------- */

static void golden(void **state)
{
	static const struct {
		const char *name;
		const struct bs_report *report;
	} cases[] = {
		{"leak.json", &sample_leak},
		{"hostile.json", &sample_hostile},
		{"wrong.json", &sample_wrong},
		{"empty.json", &sample_empty},
	};
	struct capture c;

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		assert_int_equal(bs_render_json(capture_begin(&c), cases[i].report), 0);
		assert_golden(cases[i].name, capture_end(&c));
		assert_harmless(c.s);
		free(c.s);
	}
	assert_int_equal(bs_render_list(capture_begin(&c), leak_sites, N(leak_sites), true), 0);
	assert_golden("sites.json", capture_end(&c));
	free(c.s);
}

/* --- random reports ------------------------------------------------------------------------ */

static uint64_t random_state;

static uint64_t random_u64(void)
{
	/* xorshift64*: the same reports on every machine. */
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 2685821657736338717u;
}

/* All magnitudes alike, at most what jansson can read. */
static uint64_t random_count(void)
{
	return random_u64() >> (1 + random_u64() % 63);
}

static double random_double(void)
{
	switch (random_u64() % 8) {
	case 0:
		return NAN;
	case 1:
		return -INFINITY;
	case 2:
		return 0;
	default:
		return ((double)(int64_t)random_u64()) / (double)(1 + random_count());
	}
}

/* What a string is given as and what it must read back as stand behind each other. */
static const char *random_string(void)
{
	static const struct {
		const char *in, *out;
	} pieces[] = {
		{"conn", "conn"},
		{"\"", "\""},
		{"\\", "\\"},
		{"\n", "\n"},
		{"\033[2J", "\033[2J"},
		{"%s%n", "%s%n"},
		{"\xff", FFFD},
		{"\xe2\x82", FFFD},
		{"x\x80", "x" FFFD},
		{"\xe2\x80\xae", "\xe2\x80\xae"},
		{"\xc3\xa9", "\xc3\xa9"},
		{"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
		{"</script>", "</script>"},
		{"src/a b.c:12", "src/a b.c:12"},
	};
	char in[128] = "", out[128] = "", *s;
	size_t n = random_u64() % 6;

	for (size_t i = 0; i < n; i++) {
		size_t k = random_u64() % N(pieces);

		strcat(in, pieces[k].in);
		strcat(out, pieces[k].out);
	}
	s = test_malloc(strlen(in) + strlen(out) + 2);
	strcpy(s, in);
	strcpy(s + strlen(in) + 1, out);
	return s;
}

static const char *random_string_or_null(void)
{
	return random_u64() % 3 ? random_string() : NULL;
}

static struct bs_report_lifetime random_lifetime(void)
{
	struct bs_report_lifetime l = {0};

	if (random_u64() % 2)
		l = (struct bs_report_lifetime){1 + random_count() / 2, random_count(),
						random_count(), random_count(), random_count()};
	return l;
}

#define ROWS 5

/* Rows that own their strings, freed by rows_free. */
struct rows {
	struct bs_report_process processes[ROWS];
	struct bs_report_reason reasons[ROWS];
	struct bs_report_site sites[ROWS];
	uint64_t addresses[ROWS][ROWS];
	struct bs_report_class classes[ROWS];
	struct bs_report_origin origins[ROWS], older[ROWS];
	struct bs_report_growth growth[ROWS];
	struct bs_report_exit at_exit[ROWS];
	struct bs_report_verdict verdicts[ROWS];
	struct bs_report_cycle cycles[ROWS];
	struct bs_report_cycle_edge edges[ROWS][4];
	struct bs_report_lock_use lock_uses[ROWS];
	const char *notes[ROWS];
};

/* What is always a number, and not below 0. */
static double random_amount(void)
{
	double d;

	do
		d = fabs(random_double());
	while (!isfinite(d));
	return d;
}

static struct bs_report_interval random_interval(void)
{
	return (struct bs_report_interval){random_amount(), random_amount(),
					   random_u64() % 2 ? INFINITY : random_amount()};
}

static struct bs_report_estimate random_estimate(void)
{
	return (struct bs_report_estimate){random_interval(), random_interval(), random_interval(),
					   random_interval()};
}

static struct bs_report_origin random_origin(void)
{
	return (struct bs_report_origin){
		random_string(), random_string(),  random_string_or_null(), random_string_or_null(),
		random_count(),	 random_count(),   random_count(),	    random_count(),
		random_count(),	 random_lifetime()};
}

static const char *const some_kinds[] = {"new", "drop", "resize_end", "region_exit"};

static struct bs_report_mark random_mark(void)
{
	return (struct bs_report_mark){some_kinds[random_u64() % N(some_kinds)],
				       random_string(),
				       random_string(),
				       random_string_or_null(),
				       random_string(),
				       (uint32_t)random_u64(),
				       (uint32_t)random_u64(),
				       random_u64(),
				       random_string_or_null()};
}

static struct bs_report_cycle random_cycle(struct bs_report_cycle_edge *edges)
{
	for (size_t i = 0; i < 4; i++) {
		edges[i] = (struct bs_report_cycle_edge){random_mark(), random_mark(), random_u64(),
							 random_u64()};
		edges[i].held.kind = "borrow";
		edges[i].wanted.kind = "borrow_mut";
	}
	return (struct bs_report_cycle){(uint32_t)random_u64(), edges, 2 + random_u64() % 3,
					1 + random_count() / 2};
}

static struct bs_report_verdict random_verdict(void)
{
	static const char *const names[] = {"double-drop",	     "use-after-drop",
					    "use-after-move",	     "unbalanced-count",
					    "drop-while-borrowed",   "conflicting-borrow",
					    "borrow-outlives-owner", "leak"};
	struct bs_report_verdict v = {.verdict = names[random_u64() % N(names)],
				      .klass = random_string(),
				      .id = random_u64() >> random_u64() % 64,
				      .pid = (uint32_t)random_u64(),
				      .at = random_mark(),
				      .since = random_mark(),
				      .count = 1 + random_count() / 2};

	if (random_u64() % 4 == 0)
		v.since.thread = 0;
	v.counted = !strcmp(v.verdict, "unbalanced-count");
	v.balance = (int64_t)random_u64() >> random_u64() % 63 | 1;
	return v;
}

static void random_report(struct bs_report *r, struct rows *rows)
{
	static const char *const reason_names[ROWS] = {"a", "b_1", "ring_full", "d", "e"};

	memset(r, 0, sizeof(*r));
	memset(rows, 0, sizeof(*rows));
	r->version = "1.2.3";
	r->mode = random_u64() % 2 ? "trap" : "jump";
	r->clock = "precise";
	r->sample = 1 + random_count() / 2;
	r->start_ns = random_u64();
	r->start_monotonic_ns = random_u64();
	r->duration_ns = random_u64();
	r->received = random_count() / 2;
	r->nprocesses = random_u64() % (ROWS + 1);
	for (size_t i = 0; i < ROWS; i++) {
		rows->processes[i] =
			(struct bs_report_process){(uint32_t)random_u64(), random_string_or_null(),
						   random_string_or_null(), random_u64() % 2};
		rows->reasons[i] =
			(struct bs_report_reason){reason_names[i], NULL, random_count() / 64};
		rows->sites[i] = (struct bs_report_site){some_kinds[random_u64() % N(some_kinds)],
							 random_string(),
							 random_string_or_null(),
							 random_string(),
							 random_string(),
							 random_string(),
							 (uint32_t)random_u64(),
							 random_count(),
							 random_u64() % 2,
							 rows->addresses[i],
							 random_u64() % (ROWS + 1)};
		for (size_t k = 0; k < ROWS; k++)
			rows->addresses[i][k] = random_u64() >> random_u64() % 64;
		rows->classes[i] = (struct bs_report_class){
			random_string(), random_count(), random_count(),   random_count(),
			random_count(),	 random_count(), random_lifetime()};
		rows->origins[i] = random_origin();
		rows->older[i] = random_origin();
		rows->classes[i].estimate = random_estimate();
		rows->origins[i].estimate = random_estimate();
		rows->older[i].estimate = random_estimate();
		rows->growth[i] = (struct bs_report_growth){
			random_string(),	 random_string(),	random_string_or_null(),
			random_string_or_null(), random_count(),	random_count(),
			random_count(),		 random_double(),	fabs(random_double()),
			random_double(),	 fabs(random_double()), random_u64() % 2};
		rows->growth[i].estimate = random_estimate();
		rows->at_exit[i] = (struct bs_report_exit){
			(uint32_t)random_u64(),	 random_string(),	  random_string(),
			random_string_or_null(), random_string_or_null(), random_count(),
			random_count()};
		rows->verdicts[i] = random_verdict();
		rows->cycles[i] = random_cycle(rows->edges[i]);
		rows->lock_uses[i] = (struct bs_report_lock_use){
			random_string(), random_string(), random_string_or_null(),
			random_string_or_null(), random_lifetime()};
		rows->notes[i] = random_string();
	}
	r->processes = rows->processes;
	r->reasons = rows->reasons;
	r->nreasons = random_u64() % (ROWS + 1);
	for (size_t i = 0; i < r->nreasons; i++)
		r->lost += rows->reasons[i].count;
	r->written = r->received + r->lost;
	r->written_unknown = random_u64() % 2;
	r->written_at_most = random_u64() % 2 ? r->written + random_count() % 1000 : 0;
	for (size_t i = 0; i < N(r->by_kind); i++)
		r->by_kind[i] = random_count();
	r->sites = rows->sites;
	r->nsites = random_u64() % (ROWS + 1);
	r->sampled = random_u64() % 2;
	r->sample = 1 + random_amount();
	r->sample_bytes = random_u64() % 2 ? random_amount() : 0;
	r->estimate = random_estimate();
	r->created = random_count();
	r->adopted = random_count();
	r->vanished = random_count();
	r->exited = random_count();
	r->dropped = random_count();
	r->live = random_count();
	r->live_bytes = random_count();
	r->unknown = random_count();
	r->classes = rows->classes;
	r->nclasses = random_u64() % (ROWS + 1);
	r->origins = rows->origins;
	r->norigins = random_u64() % (ROWS + 1);
	r->growth = rows->growth;
	r->ngrowth = random_u64() % (ROWS + 1);
	r->older_than_ns = random_u64() % 2 ? random_count() : 0;
	r->older = rows->older;
	r->nolder = random_u64() % (ROWS + 1);
	r->verdicts = rows->verdicts;
	r->nverdicts = random_u64() % (ROWS + 1);
	r->undecided = random_count();
	r->cycles = rows->cycles;
	r->ncycles = random_u64() % (ROWS + 1);
	r->lock_uses = rows->lock_uses;
	r->nlock_uses = random_u64() % (ROWS + 1);
	r->at_exit = rows->at_exit;
	r->nat_exit = random_u64() % (ROWS + 1);
	r->ns_per_event = random_double();
	r->cpu_percent = random_double();
	r->tool_cpu_percent = random_double();
	r->pause_us = (double)random_count() / 1000;
	r->stacks = (struct bs_report_stacks){
		.asked = random_u64() % 2,
		.taken = random_count(),
		.missing = random_count(),
		.lost = random_count(),
		.beyond = random_count(),
		.no_event = random_count(),
		.truncated = random_count(),
		.broken = random_count(),
		.distinct = random_count(),
		.ns = random_double(),
	};
	r->method = random_string_or_null();
	r->has_command = random_u64() % 2;
	r->command_status =
		random_u64() % 2 ? (int)(random_u64() % 256) << 8 : 1 + (int)(random_u64() % 64);
	r->notes = rows->notes;
	r->nnotes = random_u64() % (ROWS + 1);
}

static void string_free(const char *s)
{
	if (s)
		test_free((void *)(uintptr_t)s);
}

static void origin_free(const struct bs_report_origin *o)
{
	string_free(o->klass);
	string_free(o->site);
	string_free(o->function);
	string_free(o->caller);
}

static void mark_free(const struct bs_report_mark *m)
{
	string_free(m->klass);
	string_free(m->file);
	string_free(m->function);
	string_free(m->name);
	string_free(m->caller);
}

static void random_free(struct bs_report *r, struct rows *rows)
{
	for (size_t i = 0; i < ROWS; i++) {
		string_free(rows->processes[i].comm);
		string_free(rows->processes[i].exe);
		string_free(rows->sites[i].file);
		string_free(rows->sites[i].function);
		string_free(rows->sites[i].name);
		string_free(rows->sites[i].klass);
		string_free(rows->sites[i].binary);
		string_free(rows->classes[i].klass);
		origin_free(&rows->origins[i]);
		origin_free(&rows->older[i]);
		string_free(rows->growth[i].klass);
		string_free(rows->growth[i].site);
		string_free(rows->growth[i].function);
		string_free(rows->growth[i].caller);
		string_free(rows->at_exit[i].klass);
		string_free(rows->at_exit[i].site);
		string_free(rows->at_exit[i].function);
		string_free(rows->at_exit[i].caller);
		string_free(rows->verdicts[i].klass);
		mark_free(&rows->verdicts[i].at);
		mark_free(&rows->verdicts[i].since);
		for (size_t k = 0; k < 4; k++) {
			mark_free(&rows->edges[i][k].held);
			mark_free(&rows->edges[i][k].wanted);
		}
		string_free(rows->lock_uses[i].klass);
		string_free(rows->lock_uses[i].site);
		string_free(rows->lock_uses[i].function);
		string_free(rows->lock_uses[i].caller);
		string_free(rows->notes[i]);
	}
	string_free(r->method);
}

static json_t *member(json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);

	if (!v)
		fail_msg("no member %s", key);
	return v;
}

static void same_str(json_t *o, const char *key, const char *s)
{
	json_t *v = member(o, key);

	if (!s) {
		assert_true(json_is_null(v));
		return;
	}
	assert_true(json_is_string(v));
	assert_string_equal(json_string_value(v), s + strlen(s) + 1);
}

static void same_count(json_t *o, const char *key, uint64_t n)
{
	json_t *v = member(o, key);

	assert_true(json_is_integer(v));
	assert_true((uint64_t)json_integer_value(v) == n);
}

static void same_double(json_t *o, const char *key, double d, bool known)
{
	json_t *v = member(o, key);

	if (!known || !isfinite(d)) {
		assert_true(json_is_null(v));
		return;
	}
	assert_true(json_is_number(v));
	assert_true(json_number_value(v) == d);
}

static void same_u64_str(json_t *v, uint64_t n, int base)
{
	char *end;

	assert_true(json_is_string(v));
	assert_true(strtoull(json_string_value(v), &end, base) == n);
	assert_int_equal(*end, '\0');
}

static void same_bool(json_t *o, const char *key, bool b)
{
	json_t *v = member(o, key);

	assert_true(json_is_boolean(v));
	assert_int_equal(json_is_true(v), b);
}

static void same_lifetime(json_t *o, const char *key, const struct bs_report_lifetime *l)
{
	json_t *v = member(o, key);

	if (!l->count) {
		assert_true(json_is_null(v));
		return;
	}
	same_count(v, "count", l->count);
	same_count(v, "p50", l->p50_ns);
	same_count(v, "p90", l->p90_ns);
	same_count(v, "p99", l->p99_ns);
	same_count(v, "max", l->max_ns);
}

static void same_interval(json_t *o, const char *key, const struct bs_report_interval *v)
{
	json_t *i = member(o, key);

	same_double(i, "value", v->value, true);
	same_double(i, "low", v->low, true);
	same_double(i, "high", v->high, isfinite(v->high));
}

/* Without sampling there is none: nobody can take a count for an estimate. */
static void same_estimate(json_t *o, const struct bs_report *r, const struct bs_report_estimate *e)
{
	json_t *v = json_object_get(o, "estimated");

	assert_int_equal(v != NULL, r->sampled);
	if (!v)
		return;
	same_interval(v, "created", &e->created);
	same_interval(v, "dropped", &e->dropped);
	same_interval(v, "live", &e->live);
	same_interval(v, "live_bytes", &e->live_bytes);
}

static void same_origin(json_t *o, const struct bs_report_origin *row)
{
	same_str(o, "class", row->klass);
	same_str(o, "site", row->site);
	same_str(o, "function", row->function);
	same_str(o, "caller", row->caller);
	same_count(o, "live", row->live);
	same_count(o, "live_bytes", row->live_bytes);
	same_double(o, "oldest_s", (double)row->oldest_ns / 1e9, true);
}

static void same_mark(json_t *o, const struct bs_report_mark *m)
{
	assert_string_equal(json_string_value(member(o, "kind")), m->kind);
	same_str(o, "class", m->klass);
	same_str(o, "file", m->file);
	same_count(o, "line", m->line);
	same_str(o, "function", m->function);
	same_str(o, "name", m->name);
	same_str(o, "caller", m->caller);
}

static void same_verdict(json_t *o, const struct bs_report_verdict *v)
{
	json_t *balance = member(o, "balance");

	assert_string_equal(json_string_value(member(o, "verdict")), v->verdict);
	same_str(o, "class", v->klass);
	same_u64_str(member(o, "id"), v->id, 16);
	same_mark(member(o, "at"), &v->at);
	same_mark(member(o, "since"), &v->since);
	same_count(o, "pid", v->pid);
	same_count(o, "thread", v->at.thread);
	if (v->since.thread)
		same_count(o, "since_thread", v->since.thread);
	else
		assert_true(json_is_null(member(o, "since_thread")));
	same_u64_str(member(o, "time_ns"), v->at.ns, 10);
	same_u64_str(member(o, "since_ns"), v->since.ns, 10);
	same_count(o, "count", v->count);
	if (v->counted)
		assert_true(json_is_integer(balance) && json_integer_value(balance) == v->balance);
	else
		assert_true(json_is_null(balance));
}

static json_t *rows_of(json_t *doc, const char *key, size_t n)
{
	json_t *v = member(doc, key);

	assert_true(json_is_array(v));
	assert_int_equal(json_array_size(v), n);
	return v;
}

static void same_lock(json_t *o, const struct bs_report_mark *m, uint64_t id)
{
	same_mark(o, m);
	same_u64_str(member(o, "id"), id, 16);
	same_u64_str(member(o, "time_ns"), m->ns, 10);
}

static void same_cycle(json_t *o, const struct bs_report_cycle *c)
{
	json_t *threads = rows_of(o, "threads", c->n);

	same_count(o, "pid", c->pid);
	same_count(o, "count", c->count);
	for (size_t k = 0; k < c->n; k++) {
		json_t *t = json_array_get(threads, k);

		same_count(t, "thread", c->edges[k].wanted.thread);
		same_lock(member(t, "held"), &c->edges[k].held, c->edges[k].held_id);
		same_lock(member(t, "took"), &c->edges[k].wanted, c->edges[k].wanted_id);
	}
}

static void same_tables(json_t *doc, const struct bs_report *r)
{
	json_t *v;

	v = rows_of(doc, "processes", r->nprocesses);
	for (size_t i = 0; i < r->nprocesses; i++) {
		same_count(json_array_get(v, i), "pid", r->processes[i].pid);
		same_str(json_array_get(v, i), "comm", r->processes[i].comm);
		same_str(json_array_get(v, i), "exe", r->processes[i].exe);
		same_bool(json_array_get(v, i), "exited", r->processes[i].exited);
	}
	v = rows_of(doc, "classes", r->nclasses);
	for (size_t i = 0; i < r->nclasses; i++) {
		same_str(json_array_get(v, i), "class", r->classes[i].klass);
		same_count(json_array_get(v, i), "created", r->classes[i].created);
		same_count(json_array_get(v, i), "dropped", r->classes[i].dropped);
		same_count(json_array_get(v, i), "live", r->classes[i].live);
		same_count(json_array_get(v, i), "live_bytes", r->classes[i].live_bytes);
		same_count(json_array_get(v, i), "unknown", r->classes[i].unknown);
		same_lifetime(json_array_get(v, i), "lifetime_ns", &r->classes[i].lifetime);
		same_estimate(json_array_get(v, i), r, &r->classes[i].estimate);
	}
	v = rows_of(doc, "origins", r->norigins);
	for (size_t i = 0; i < r->norigins; i++) {
		same_origin(json_array_get(v, i), &r->origins[i]);
		same_count(json_array_get(v, i), "created", r->origins[i].created);
		same_count(json_array_get(v, i), "dropped", r->origins[i].dropped);
		same_lifetime(json_array_get(v, i), "lifetime_ns", &r->origins[i].lifetime);
		same_estimate(json_array_get(v, i), r, &r->origins[i].estimate);
	}
	v = rows_of(doc, "growth", r->ngrowth);
	for (size_t i = 0; i < r->ngrowth; i++) {
		const struct bs_report_growth *g = &r->growth[i];
		json_t *o = json_array_get(v, i);

		same_str(o, "class", g->klass);
		same_str(o, "site", g->site);
		same_str(o, "function", g->function);
		same_str(o, "caller", g->caller);
		same_count(o, "live", g->live);
		same_count(o, "live_bytes", g->live_bytes);
		same_double(o, "bytes_per_s", g->bytes_per_s, true);
		same_double(o, "error", g->error, true);
		same_estimate(o, r, &g->estimate);
		same_double(o, "objects_per_s", g->objects_per_s, true);
		same_double(o, "objects_error", g->objects_error, true);
		same_double(o, "oldest_s", (double)g->oldest_ns / 1e9, true);
		if (g->live_bytes)
			same_bool(o, "sure", g->sure);
	}
	v = rows_of(doc, "verdicts", r->nverdicts);
	for (size_t i = 0; i < r->nverdicts; i++)
		same_verdict(json_array_get(v, i), &r->verdicts[i]);
	v = rows_of(doc, "lock_cycles", r->ncycles);
	for (size_t i = 0; i < r->ncycles; i++)
		same_cycle(json_array_get(v, i), &r->cycles[i]);
	v = rows_of(doc, "locks", r->nlock_uses);
	for (size_t i = 0; i < r->nlock_uses; i++) {
		const struct bs_report_lock_use *u = &r->lock_uses[i];
		json_t *o = json_array_get(v, i);

		same_str(o, "class", u->klass);
		same_str(o, "site", u->site);
		same_str(o, "function", u->function);
		same_str(o, "caller", u->caller);
		same_lifetime(o, "held_ns", &u->held);
	}
	v = rows_of(doc, "live_at_exit", r->nat_exit);
	for (size_t i = 0; i < r->nat_exit; i++) {
		const struct bs_report_exit *e = &r->at_exit[i];
		json_t *o = json_array_get(v, i);

		same_count(o, "pid", e->pid);
		same_str(o, "class", e->klass);
		same_str(o, "site", e->site);
		same_str(o, "function", e->function);
		same_str(o, "caller", e->caller);
		same_count(o, "count", e->count);
		same_count(o, "bytes", e->bytes);
	}
	v = rows_of(doc, "sites", r->nsites);
	for (size_t i = 0; i < r->nsites; i++) {
		const struct bs_report_site *s = &r->sites[i];
		json_t *o = json_array_get(v, i);
		json_t *addresses = rows_of(o, "addresses", s->naddresses);

		assert_string_equal(json_string_value(member(o, "kind")), s->kind);
		same_str(o, "file", s->file);
		same_count(o, "line", s->line);
		same_str(o, "function", s->function);
		same_str(o, "name", s->name);
		same_str(o, "class", s->klass);
		same_str(o, "binary", s->binary);
		same_count(o, "hits", s->hits);
		same_bool(o, "lit", s->lit);
		for (size_t k = 0; k < s->naddresses; k++)
			same_u64_str(json_array_get(addresses, k), s->addresses[k], 16);
	}
}

static void same_report(json_t *doc, const struct bs_report *r)
{
	static const char *const kinds[] = {"new",	  "drop",    "resize_begin", "resize_end",
					    "move",	  "borrow",  "borrow_mut",   "unborrow",
					    "retain",	  "release", "use",	     "region_enter",
					    "region_exit"};
	json_t *v, *sub;

	assert_string_equal(json_string_value(member(doc, "schema")), "bscope-report/1");
	assert_string_equal(json_string_value(member(doc, "mode")), r->mode);
	same_double(doc, "sample", r->sample, true);
	same_double(doc, "sample_bytes", r->sample_bytes, r->sample_bytes > 0);
	same_u64_str(member(doc, "start_ns"), r->start_ns, 10);
	same_u64_str(member(doc, "start_monotonic_ns"), r->start_monotonic_ns, 10);
	same_u64_str(member(doc, "duration_ns"), r->duration_ns, 10);

	v = member(doc, "events");
	/* A number that is not known is not there, and no guess stands in its place. */
	if (r->written_unknown)
		assert_true(json_is_null(member(v, "written")));
	else
		same_count(v, "written", r->written);
	assert_int_equal(json_object_get(v, "written_at_most") != NULL,
			 r->written_unknown && r->written_at_most);
	if (r->written_unknown && r->written_at_most)
		same_count(v, "written_at_most", r->written_at_most);
	same_count(v, "received", r->received);
	same_count(v, "lost", r->lost);
	sub = member(v, "lost_by_reason");
	assert_int_equal(json_object_size(sub), r->nreasons);
	for (size_t i = 0; i < r->nreasons; i++)
		same_count(sub, r->reasons[i].name, r->reasons[i].count);
	sub = member(v, "by_kind");
	assert_int_equal(json_object_size(sub), 13);
	for (size_t i = 0; i < N(kinds); i++)
		same_count(sub, kinds[i], r->by_kind[i + 1]);

	v = member(doc, "objects");
	same_estimate(v, r, &r->estimate);
	same_count(v, "created", r->created);
	same_count(v, "adopted", r->adopted);
	same_count(v, "vanished", r->vanished);
	same_count(v, "exited", r->exited);
	same_count(v, "dropped", r->dropped);
	same_count(v, "live", r->live);
	same_count(v, "live_bytes", r->live_bytes);
	same_count(v, "unknown", r->unknown);
	same_count(v, "undecided", r->undecided);

	same_tables(doc, r);

	assert_int_equal(json_object_get(doc, "older_than") != NULL, r->older_than_ns != 0);
	if (r->older_than_ns) {
		v = member(doc, "older_than");
		same_double(v, "seconds", (double)r->older_than_ns / 1e9, true);
		v = rows_of(v, "origins", r->nolder);
		for (size_t i = 0; i < r->nolder; i++)
			same_origin(json_array_get(v, i), &r->older[i]);
	}
	v = member(doc, "command");
	if (!r->has_command)
		assert_true(json_is_null(v));
	else if (r->command_status >= 256 || !r->command_status)
		same_count(v, "status", (uint64_t)r->command_status >> 8);
	else
		same_count(v, "signal", (uint64_t)r->command_status);

	assert_int_equal(json_object_get(doc, "stacks") != NULL, r->stacks.asked);
	if (r->stacks.asked) {
		v = member(doc, "stacks");
		same_count(v, "taken", r->stacks.taken);
		same_count(v, "missing", r->stacks.missing);
		same_count(v, "lost", r->stacks.lost);
		same_count(v, "beyond", r->stacks.beyond);
		same_count(v, "no_event", r->stacks.no_event);
		same_count(v, "truncated", r->stacks.truncated);
		same_count(v, "broken", r->stacks.broken);
		same_count(v, "distinct", r->stacks.distinct);
		same_double(v, "ns_per_stack", r->stacks.ns, r->stacks.ns > 0);
	}

	v = member(doc, "overhead");
	same_double(v, "ns_per_event", r->ns_per_event, r->ns_per_event > 0);
	same_double(v, "cpu_percent", r->cpu_percent, r->cpu_percent >= 0);
	same_double(v, "tool_cpu_percent", r->tool_cpu_percent, r->tool_cpu_percent >= 0);
	same_double(v, "pause_us", r->pause_us, true);
	same_str(v, "method", r->method);
	assert_int_equal(json_object_get(v, "sampled") != NULL, r->profiled != NULL);
	if (r->profiled) {
		v = member(v, "sampled");
		same_double(v, "percent", r->profiled->percent, !r->profiled->unknown[0]);
		same_double(v, "error", r->profiled->error, !r->profiled->unknown[0]);
		same_count(v, "samples", r->profiled->samples);
		same_count(v, "lost", r->profiled->lost);
		same_count(v, "hz", r->profiled->hz);
		same_double(v, "cpu_percent_error", r->profiled->counted_error,
			    r->profiled->counted_error >= 0);
		same_double(v, "ns_per_sample", r->profiled->ns_per_sample,
			    r->profiled->ns_per_sample > 0);
		same_double(v, "sampling_percent", r->profiled->sampling_percent,
			    r->profiled->sampling_percent >= 0);
	}
	v = rows_of(doc, "notes", r->nnotes);
	for (size_t i = 0; i < r->nnotes; i++)
		assert_string_equal(json_string_value(json_array_get(v, i)),
				    r->notes[i] + strlen(r->notes[i]) + 1);
}

/* Keeps the documents where BSCOPE_RENDER_DIR says, for a validator of another make. */
static void keep(const char *text, unsigned seed)
{
	const char *dir = getenv("BSCOPE_RENDER_DIR");
	char path[4096];
	FILE *f;

	if (!dir)
		return;
	snprintf(path, sizeof(path), "%s/random-%u.json", dir, seed);
	f = fopen(path, "w");
	if (!f)
		fail_msg("%s: %s", path, strerror(errno));
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void random_reports(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 200; seed++) {
		struct bs_report r;
		struct rows rows;
		struct capture c;
		json_error_t error;
		json_t *doc;

		random_state = seed;
		for (int i = 0; i < 20; i++)
			random_u64();
		random_report(&r, &rows);
		assert_int_equal(bs_render_json(capture_begin(&c), &r), 0);
		doc = json_loads(capture_end(&c), JSON_REJECT_DUPLICATES, &error);
		if (!doc)
			fail_msg("seed %u: %s at line %d", seed, error.text, error.line);
		same_report(doc, &r);
		assert_harmless(c.s);
		keep(c.s, seed);
		json_decref(doc);
		free(c.s);
		random_free(&r, &rows);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden),
		cmocka_unit_test(random_reports),
		cmocka_unit_test(stream_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
