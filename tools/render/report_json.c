// SPDX-License-Identifier: GPL-2.0-only
/* report_json.c - the report as JSON: schema bscope-report/1, a public interface. */
#include "render/report.h"

#include <math.h>
#include <sys/wait.h>

#include "bscope/abi.h"
#include "render/json_writer.h"
#include "target/sites.h"

static void json_lifetime(struct bs_json *j, const char *key, const struct bs_report_lifetime *l)
{
	if (!l->count) {
		bs_json_null(j, key);
		return;
	}
	bs_json_object_begin(j, key);
	bs_json_u64(j, "count", l->count);
	bs_json_u64(j, "p50", l->p50_ns);
	bs_json_u64(j, "p90", l->p90_ns);
	bs_json_u64(j, "p99", l->p99_ns);
	bs_json_u64(j, "max", l->max_ns);
	bs_json_object_end(j);
}

static void json_processes(struct bs_json *j, const struct bs_report *r)
{
	bs_json_array_begin(j, "processes");
	for (size_t i = 0; i < r->nprocesses; i++) {
		const struct bs_report_process *p = &r->processes[i];

		bs_json_object_begin(j, NULL);
		bs_json_u64(j, "pid", p->pid);
		bs_json_str(j, "comm", p->comm);
		bs_json_str(j, "exe", p->exe);
		bs_json_bool(j, "exited", p->exited);
		bs_json_object_end(j);
	}
	bs_json_array_end(j);
}

static void json_command(struct bs_json *j, const struct bs_report *r)
{
	int status = r->command_status;

	if (!r->has_command) {
		bs_json_null(j, "command");
		return;
	}
	bs_json_object_begin(j, "command");
	if (WIFEXITED(status))
		bs_json_u64(j, "status", (uint64_t)WEXITSTATUS(status));
	else
		bs_json_null(j, "status");
	if (WIFSIGNALED(status))
		bs_json_u64(j, "signal", (uint64_t)WTERMSIG(status));
	else
		bs_json_null(j, "signal");
	bs_json_object_end(j);
}

static void json_events(struct bs_json *j, const struct bs_report *r)
{
	bs_json_object_begin(j, "events");
	if (r->written_unknown)
		bs_json_null(j, "written");
	else
		bs_json_u64(j, "written", r->written);
	if (r->written_unknown && r->written_at_most)
		bs_json_u64(j, "written_at_most", r->written_at_most);
	bs_json_u64(j, "received", r->received);
	bs_json_u64(j, "lost", r->lost);
	bs_json_object_begin(j, "lost_by_reason");
	for (size_t i = 0; i < r->nreasons; i++)
		bs_json_u64(j, r->reasons[i].name, r->reasons[i].count);
	bs_json_object_end(j);
	bs_json_object_begin(j, "by_kind");
	for (unsigned kind = BSCOPE_KIND_NEW; kind < BSCOPE_KIND_END; kind++)
		bs_json_u64(j, bs_kind_name(kind), r->by_kind[kind]);
	bs_json_object_end(j);
	bs_json_object_end(j);
}

/* What --list and the report say alike; the caller closes the object. */
static void json_site_begin(struct bs_json *j, const struct bs_report_site *s)
{
	bs_json_object_begin(j, NULL);
	bs_json_str(j, "kind", s->kind);
	bs_json_str(j, "file", s->file);
	bs_json_u64(j, "line", s->line);
	bs_json_str(j, "function", s->function);
	bs_json_str(j, "name", s->name);
	bs_json_str(j, "class", s->klass);
	bs_json_str(j, "binary", s->binary);
}

static void json_site_end(struct bs_json *j, const struct bs_report_site *s)
{
	bs_json_array_begin(j, "addresses");
	for (size_t i = 0; i < s->naddresses; i++)
		bs_json_hex_str(j, NULL, s->addresses[i]);
	bs_json_array_end(j);
	bs_json_object_end(j);
}

static void json_sites(struct bs_json *j, const struct bs_report *r)
{
	bs_json_array_begin(j, "sites");
	for (size_t i = 0; i < r->nsites; i++) {
		json_site_begin(j, &r->sites[i]);
		bs_json_u64(j, "hits", r->sites[i].hits);
		bs_json_bool(j, "lit", r->sites[i].lit);
		json_site_end(j, &r->sites[i]);
	}
	bs_json_array_end(j);
}

static void double_or_null(struct bs_json *j, const char *key, double value, bool known)
{
	if (known)
		bs_json_double(j, key, value);
	else
		bs_json_null(j, key);
}

static void json_interval(struct bs_json *j, const char *key, const struct bs_report_interval *v)
{
	bs_json_object_begin(j, key);
	bs_json_double(j, "value", v->value);
	bs_json_double(j, "low", v->low);
	double_or_null(j, "high", v->high, isfinite(v->high));
	bs_json_object_end(j);
}

static void json_estimate(struct bs_json *j, const struct bs_report *r,
			  const struct bs_report_estimate *e)
{
	if (!r->sampled)
		return;
	bs_json_object_begin(j, "estimated");
	json_interval(j, "created", &e->created);
	json_interval(j, "dropped", &e->dropped);
	json_interval(j, "live", &e->live);
	json_interval(j, "live_bytes", &e->live_bytes);
	bs_json_object_end(j);
}

static void json_objects(struct bs_json *j, const struct bs_report *r)
{
	bs_json_object_begin(j, "objects");
	bs_json_u64(j, "created", r->created);
	bs_json_u64(j, "dropped", r->dropped);
	bs_json_u64(j, "live", r->live);
	bs_json_u64(j, "live_bytes", r->live_bytes);
	bs_json_u64(j, "adopted", r->adopted);
	bs_json_u64(j, "vanished", r->vanished);
	bs_json_u64(j, "exited", r->exited);
	bs_json_u64(j, "unknown", r->unknown);
	bs_json_u64(j, "undecided", r->undecided);
	json_estimate(j, r, &r->estimate);
	bs_json_object_end(j);
}

static void json_classes(struct bs_json *j, const struct bs_report *r)
{
	bs_json_array_begin(j, "classes");
	for (size_t i = 0; i < r->nclasses; i++) {
		const struct bs_report_class *c = &r->classes[i];

		bs_json_object_begin(j, NULL);
		bs_json_str(j, "class", c->klass);
		bs_json_u64(j, "created", c->created);
		bs_json_u64(j, "dropped", c->dropped);
		bs_json_u64(j, "live", c->live);
		bs_json_u64(j, "live_bytes", c->live_bytes);
		bs_json_u64(j, "unknown", c->unknown);
		json_lifetime(j, "lifetime_ns", &c->lifetime);
		json_estimate(j, r, &c->estimate);
		bs_json_object_end(j);
	}
	bs_json_array_end(j);
}

static void json_place(struct bs_json *j, const char *klass, const char *site, const char *function,
		       const char *caller)
{
	bs_json_str(j, "class", klass);
	bs_json_str(j, "site", site);
	bs_json_str(j, "function", function);
	bs_json_str(j, "caller", caller);
}

static double seconds(uint64_t ns)
{
	return (double)ns / 1e9;
}

static void json_origins(struct bs_json *j, const struct bs_report *r)
{
	bs_json_array_begin(j, "origins");
	for (size_t i = 0; i < r->norigins; i++) {
		const struct bs_report_origin *o = &r->origins[i];

		bs_json_object_begin(j, NULL);
		json_place(j, o->klass, o->site, o->function, o->caller);
		bs_json_u64(j, "created", o->created);
		bs_json_u64(j, "dropped", o->dropped);
		bs_json_u64(j, "live", o->live);
		bs_json_u64(j, "live_bytes", o->live_bytes);
		bs_json_double(j, "oldest_s", seconds(o->oldest_ns));
		json_lifetime(j, "lifetime_ns", &o->lifetime);
		json_estimate(j, r, &o->estimate);
		bs_json_object_end(j);
	}
	bs_json_array_end(j);
}

static void json_lock_uses(struct bs_json *j, const struct bs_report *r)
{
	bs_json_array_begin(j, "locks");
	for (size_t i = 0; i < r->nlock_uses; i++) {
		const struct bs_report_lock_use *u = &r->lock_uses[i];

		bs_json_object_begin(j, NULL);
		json_place(j, u->klass, u->site, u->function, u->caller);
		json_lifetime(j, "held_ns", &u->held);
		bs_json_object_end(j);
	}
	bs_json_array_end(j);
}

static void json_growth(struct bs_json *j, const struct bs_report *r)
{
	bs_json_array_begin(j, "growth");
	for (size_t i = 0; i < r->ngrowth; i++) {
		const struct bs_report_growth *g = &r->growth[i];

		bs_json_object_begin(j, NULL);
		json_place(j, g->klass, g->site, g->function, g->caller);
		bs_json_u64(j, "live", g->live);
		bs_json_u64(j, "live_bytes", g->live_bytes);
		bs_json_double(j, "bytes_per_s", g->bytes_per_s);
		bs_json_double(j, "error", g->error);
		bs_json_double(j, "objects_per_s", g->objects_per_s);
		bs_json_double(j, "objects_error", g->objects_error);
		bs_json_bool(j, "sure", bs_report_growth_sure(g));
		bs_json_double(j, "oldest_s", seconds(g->oldest_ns));
		json_estimate(j, r, &g->estimate);
		bs_json_object_end(j);
	}
	bs_json_array_end(j);
}

static void mark_members(struct bs_json *j, const struct bs_report_mark *m)
{
	bs_json_str(j, "file", m->file);
	bs_json_u64(j, "line", m->line);
	bs_json_str(j, "function", m->function);
	bs_json_str(j, "name", m->name);
	bs_json_str(j, "kind", m->kind);
	bs_json_str(j, "class", m->klass);
	bs_json_str(j, "caller", m->caller);
}

static void json_mark(struct bs_json *j, const char *key, const struct bs_report_mark *m)
{
	bs_json_object_begin(j, key);
	mark_members(j, m);
	bs_json_object_end(j);
}

static void json_lock(struct bs_json *j, const char *key, const struct bs_report_mark *m,
		      uint64_t id)
{
	bs_json_object_begin(j, key);
	mark_members(j, m);
	bs_json_hex_str(j, "id", id);
	bs_json_u64_str(j, "time_ns", m->ns);
	bs_json_object_end(j);
}

static void json_cycles(struct bs_json *j, const struct bs_report *r)
{
	bs_json_array_begin(j, "lock_cycles");
	for (size_t i = 0; i < r->ncycles; i++) {
		const struct bs_report_cycle *c = &r->cycles[i];

		bs_json_object_begin(j, NULL);
		bs_json_u64(j, "pid", c->pid);
		bs_json_u64(j, "count", c->count);
		bs_json_array_begin(j, "threads");
		for (size_t k = 0; k < c->n; k++) {
			bs_json_object_begin(j, NULL);
			bs_json_u64(j, "thread", c->edges[k].wanted.thread);
			json_lock(j, "held", &c->edges[k].held, c->edges[k].held_id);
			json_lock(j, "took", &c->edges[k].wanted, c->edges[k].wanted_id);
			bs_json_object_end(j);
		}
		bs_json_array_end(j);
		bs_json_object_end(j);
	}
	bs_json_array_end(j);
}

static void json_verdicts(struct bs_json *j, const struct bs_report *r)
{
	bs_json_array_begin(j, "verdicts");
	for (size_t i = 0; i < r->nverdicts; i++) {
		const struct bs_report_verdict *v = &r->verdicts[i];

		bs_json_object_begin(j, NULL);
		bs_json_str(j, "verdict", v->verdict);
		bs_json_str(j, "class", v->klass);
		bs_json_hex_str(j, "id", v->id);
		json_mark(j, "at", &v->at);
		json_mark(j, "since", &v->since);
		bs_json_u64(j, "pid", v->pid);
		bs_json_u64(j, "thread", v->at.thread);
		if (v->since.thread)
			bs_json_u64(j, "since_thread", v->since.thread);
		else
			bs_json_null(j, "since_thread");
		bs_json_u64_str(j, "time_ns", v->at.ns);
		bs_json_u64_str(j, "since_ns", v->since.ns);
		bs_json_u64(j, "count", v->count);
		if (v->counted)
			bs_json_i64(j, "balance", v->balance);
		else
			bs_json_null(j, "balance");
		bs_json_object_end(j);
	}
	bs_json_array_end(j);
}

static void json_at_exit(struct bs_json *j, const struct bs_report *r)
{
	bs_json_array_begin(j, "live_at_exit");
	for (size_t i = 0; i < r->nat_exit; i++) {
		const struct bs_report_exit *e = &r->at_exit[i];

		bs_json_object_begin(j, NULL);
		bs_json_u64(j, "pid", e->pid);
		json_place(j, e->klass, e->site, e->function, e->caller);
		bs_json_u64(j, "count", e->count);
		bs_json_u64(j, "bytes", e->bytes);
		if (r->sampled) {
			bs_json_object_begin(j, "estimated");
			json_interval(j, "count", &e->all_count);
			json_interval(j, "bytes", &e->all_bytes);
			bs_json_object_end(j);
		}
		bs_json_object_end(j);
	}
	bs_json_array_end(j);
}

static void json_older(struct bs_json *j, const struct bs_report *r)
{
	bs_json_object_begin(j, "older_than");
	bs_json_double(j, "seconds", seconds(r->older_than_ns));
	bs_json_array_begin(j, "origins");
	for (size_t i = 0; i < r->nolder; i++) {
		const struct bs_report_origin *o = &r->older[i];

		bs_json_object_begin(j, NULL);
		json_place(j, o->klass, o->site, o->function, o->caller);
		bs_json_u64(j, "live", o->live);
		bs_json_u64(j, "live_bytes", o->live_bytes);
		bs_json_double(j, "oldest_s", seconds(o->oldest_ns));
		json_estimate(j, r, &o->estimate);
		bs_json_object_end(j);
	}
	bs_json_array_end(j);
	bs_json_object_end(j);
}

static void json_sampled(struct bs_json *j, const struct bs_report_sampled *p)
{
	bool known = !p->unknown[0];

	bs_json_object_begin(j, "sampled");
	double_or_null(j, "percent", p->percent, known);
	double_or_null(j, "error", p->error, known);
	bs_json_str(j, "unknown", known ? NULL : p->unknown);
	bs_json_u64(j, "samples", p->samples);
	bs_json_u64(j, "lost", p->lost);
	bs_json_u64(j, "hz", p->hz);
	double_or_null(j, "cpu_percent_error", p->counted_error, p->counted_error >= 0);
	double_or_null(j, "ns_per_sample", p->ns_per_sample, p->ns_per_sample > 0);
	double_or_null(j, "sampling_percent", p->sampling_percent, p->sampling_percent >= 0);
	bs_json_object_end(j);
}

static void json_overhead(struct bs_json *j, const struct bs_report *r)
{
	bs_json_object_begin(j, "overhead");
	double_or_null(j, "ns_per_event", r->ns_per_event, r->ns_per_event > 0);
	double_or_null(j, "cpu_percent", r->cpu_percent, r->cpu_percent >= 0);
	bs_json_double(j, "pause_us", r->pause_us);
	double_or_null(j, "tool_cpu_percent", r->tool_cpu_percent, r->tool_cpu_percent >= 0);
	bs_json_str(j, "method", r->method);
	if (r->profiled)
		json_sampled(j, r->profiled);
	bs_json_object_end(j);
}

static void json_stacks(struct bs_json *j, const struct bs_report_stacks *s)
{
	bs_json_object_begin(j, "stacks");
	bs_json_str(j, "call_graph", s->copied ? "dwarf" : "fp");
	if (s->copied)
		bs_json_u64(j, "stack_size", s->copied);
	else
		bs_json_null(j, "stack_size");
	bs_json_u64(j, "taken", s->taken);
	bs_json_u64(j, "missing", s->missing);
	bs_json_u64(j, "lost", s->lost);
	bs_json_u64(j, "beyond", s->beyond);
	bs_json_u64(j, "no_event", s->no_event);
	bs_json_u64(j, "truncated", s->truncated);
	bs_json_u64(j, "broken", s->broken);
	bs_json_u64(j, "distinct", s->distinct);
	double_or_null(j, "ns_per_stack", s->ns, s->ns > 0);
	bs_json_object_end(j);
}

int bs_render_json(FILE *out, const struct bs_report *r)
{
	struct bs_json j;

	bs_json_init(&j, out);
	bs_json_object_begin(&j, NULL);
	bs_json_str(&j, "schema", "bscope-report/1");
	bs_json_str(&j, "version", r->version);
	bs_json_str(&j, "mode", r->mode);
	bs_json_str(&j, "clock", r->clock);
	bs_json_double(&j, "sample", r->sample);
	double_or_null(&j, "sample_bytes", r->sample_bytes, r->sample_bytes > 0);
	bs_json_u64_str(&j, "start_ns", r->start_ns);
	bs_json_u64_str(&j, "start_monotonic_ns", r->start_monotonic_ns);
	bs_json_u64_str(&j, "duration_ns", r->duration_ns);
	json_processes(&j, r);
	json_command(&j, r);
	json_events(&j, r);
	json_objects(&j, r);
	json_classes(&j, r);
	json_origins(&j, r);
	json_growth(&j, r);
	json_verdicts(&j, r);
	json_cycles(&j, r);
	json_lock_uses(&j, r);
	json_at_exit(&j, r);
	if (r->older_than_ns)
		json_older(&j, r);
	if (r->stacks.asked)
		json_stacks(&j, &r->stacks);
	json_overhead(&j, r);
	bs_json_array_begin(&j, "notes");
	for (size_t i = 0; i < r->nnotes; i++)
		bs_json_str(&j, NULL, r->notes[i]);
	bs_json_array_end(&j);
	json_sites(&j, r);
	bs_json_object_end(&j);
	return bs_json_finish(&j);
}

int bs_render_list_json(FILE *out, const struct bs_report_site *sites, size_t n)
{
	struct bs_json j;

	bs_json_init(&j, out);
	bs_json_object_begin(&j, NULL);
	bs_json_str(&j, "schema", "bscope-sites/1");
	bs_json_array_begin(&j, "sites");
	for (size_t i = 0; i < n; i++) {
		json_site_begin(&j, &sites[i]);
		json_site_end(&j, &sites[i]);
	}
	bs_json_array_end(&j);
	bs_json_object_end(&j);
	return bs_json_finish(&j);
}
