// SPDX-License-Identifier: GPL-2.0-only
/*
 * report_text.c - the report as text: a head that says what was traced, how, what was lost
 * and what it cost, then the tables.
 */
#define _GNU_SOURCE /* sigabbrev_np */
#include "render/report.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "bscope/abi.h"
#include "render/human.h"
#include "render/report_part.h"
#include "render/table.h"
#include "render/text.h"
#include "target/sites.h"

#define UNSURE_ROWS   3
#define TOP_PROCESSES 5

static const char *text_of(const struct bs_str *s)
{
	return s->s ? s->s : "";
}

size_t bs_part_shown(const struct bs_report *r, size_t n, size_t top)
{
	return r->verbose || n < top ? n : top;
}

void bs_part_heading(struct bs_out *o, const char *text, const char *remark)
{
	bs_out_str(o, "\n");
	bs_out_styled(o, BS_BOLD, text);
	if (remark) {
		bs_out_str(o, "  ");
		bs_out_styled(o, BS_DIM, remark);
	}
	bs_out_str(o, "\n");
}

void bs_part_more(struct bs_out *o, size_t shown, size_t n)
{
	struct bs_str s = {0};
	char buf[BS_FMT];

	if (shown == n)
		return;
	bs_str_addf(&s, "and %s more; use -v or --format=json for all",
		    bs_fmt_count(buf, n - shown));
	bs_out_spaces(o, 2);
	bs_out_styled(o, BS_DIM, text_of(&s));
	bs_out_str(o, "\n");
	bs_str_fini(&s);
}

int bs_part_line(struct bs_out *o, enum bs_style style, const char *label, struct bs_str *s)
{
	int err = s->err;

	if (!err)
		bs_out_labelled(o, style, label, text_of(s));
	bs_str_fini(s);
	return err;
}

/* --- the head ------------------------------------------------------------------------------ */

static void add_process(struct bs_str *s, const struct bs_report_process *p, bool verbose)
{
	if (p->comm && *p->comm)
		bs_str_add_clean(s, p->comm);
	else
		bs_str_add(s, "?");
	bs_str_addf(s, " (pid %u", p->pid);
	if (verbose && p->exe) {
		bs_str_add(s, ", ");
		bs_str_add_clean(s, p->exe);
	}
	bs_str_add(s, p->exited ? ", exited)" : ")");
}

static int head_title(struct bs_out *o, const struct bs_report *r)
{
	struct bs_str s = {0}, shown = {0};
	char buf[BS_FMT];
	int err;

	bs_str_add(&s, "bscope-trace ");
	bs_str_add_clean(&s, r->version);
	bs_str_addf(&s, ": %s of ", bs_fmt_ns(buf, (double)r->duration_ns));
	if (r->nprocesses == 1)
		add_process(&s, &r->processes[0], r->verbose);
	else
		bs_str_addf(&s, "%s processes", bs_fmt_count(buf, r->nprocesses));
	bs_str_add_short(&shown, text_of(&s), o->width);
	bs_out_styled(o, BS_BOLD, text_of(&shown));
	bs_out_str(o, "\n");
	err = s.err ? s.err : shown.err;
	bs_str_fini(&s);
	bs_str_fini(&shown);
	return err;
}

static int head_started(struct bs_out *o, const struct bs_report *r)
{
	time_t seconds = (time_t)(r->start_ns / 1000000000);
	struct bs_str s = {0};
	char when[64];
	struct tm tm;

	if (!r->start_ns || !localtime_r(&seconds, &tm) ||
	    !strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S %z", &tm))
		return 0;
	bs_str_add(&s, when);
	return bs_part_line(o, BS_PLAIN, "started", &s);
}

static int head_processes(struct bs_out *o, const struct bs_report *r)
{
	size_t shown = bs_part_shown(r, r->nprocesses, TOP_PROCESSES);
	struct bs_str s = {0};
	char buf[BS_FMT];

	if (r->nprocesses < 2)
		return 0;
	for (size_t i = 0; i < shown; i++) {
		if (i)
			bs_str_add(&s, ", ");
		add_process(&s, &r->processes[i], r->verbose);
	}
	if (shown < r->nprocesses)
		bs_str_addf(&s, " and %s more", bs_fmt_count(buf, r->nprocesses - shown));
	return bs_part_line(o, BS_PLAIN, "traced", &s);
}

static int head_command(struct bs_out *o, const struct bs_report *r)
{
	int status = r->command_status;
	struct bs_str s = {0};
	const char *name;

	if (!r->has_command)
		return 0;
	if (WIFEXITED(status)) {
		bs_str_addf(&s, "exit status %d", WEXITSTATUS(status));
	} else if (WIFSIGNALED(status)) {
		name = sigabbrev_np(WTERMSIG(status));
		if (name)
			bs_str_addf(&s, "killed by SIG%s", name);
		else
			bs_str_addf(&s, "killed by signal %d", WTERMSIG(status));
	} else {
		bs_str_add(&s, "still running");
	}
	return bs_part_line(o, BS_PLAIN, "command", &s);
}

static int head_mode(struct bs_out *o, const struct bs_report *r)
{
	static const struct {
		const char *mode, *meaning;
	} modes[] = {
		{"trap", "every hit is a kernel trap"},
		{"jump", "hits are written to buffers, a kernel trap per full buffer"},
		{"self", "the program records itself, without the kernel"},
	};
	struct bs_str s = {0};
	char buf[BS_FMT];

	bs_str_add_clean(&s, r->mode);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (r->mode && !strcmp(r->mode, modes[i].mode))
			bs_str_addf(&s, ": %s", modes[i].meaning);
	if (r->method && *r->method) {
		bs_str_add(&s, " (");
		bs_str_add_clean(&s, r->method);
		bs_str_add(&s, ")");
	}
	if (r->sampled && (r->sample > 1 || !(r->sample_bytes > 0)))
		bs_str_addf(&s, "; one object in %s is followed", bs_fmt_si(buf, r->sample));
	if (r->sample_bytes > 0)
		bs_str_addf(&s, "%s one byte in %s",
			    r->sample > 1 ? ", and that of" : "; the object of",
			    bs_fmt_si(buf, r->sample_bytes));
	if (r->sample_bytes > 0 && !(r->sample > 1))
		bs_str_add(&s, " is followed");
	return bs_part_line(o, BS_PLAIN, "mode", &s);
}

static int head_sites(struct bs_out *o, const struct bs_report *r)
{
	size_t lit = 0, hit = 0, binaries = 0;
	struct bs_str s = {0};
	char buf[BS_FMT];

	for (size_t i = 0; i < r->nsites; i++) {
		const struct bs_report_site *site = &r->sites[i];
		size_t same = 0;

		lit += site->lit;
		hit += site->hits > 0;
		while (same < i && strcmp(r->sites[same].binary ? r->sites[same].binary : "",
					  site->binary ? site->binary : ""))
			same++;
		binaries += same == i;
	}
	if (!r->nsites) {
		bs_str_add(&s, "none");
		return bs_part_line(o, BS_PLAIN, "sites", &s);
	}
	bs_str_addf(&s, "%s in ", bs_fmt_count(buf, r->nsites));
	bs_str_addf(&s, "%s %s: ", bs_fmt_count(buf, binaries),
		    binaries == 1 ? "binary" : "binaries");
	bs_str_addf(&s, "%s lit, ", bs_fmt_count(buf, lit));
	bs_str_addf(&s, "%s hit", bs_fmt_count(buf, hit));
	return bs_part_line(o, BS_PLAIN, "sites", &s);
}

static int head_events(struct bs_out *o, const struct bs_report *r)
{
	struct bs_str s = {0};
	const char *sep = " (";
	char buf[BS_FMT];

	bs_str_addf(&s, "%s received", bs_fmt_count(buf, r->received));
	for (unsigned kind = BSCOPE_KIND_NEW; kind < BSCOPE_KIND_END; kind++) {
		if (!r->by_kind[kind])
			continue;
		bs_str_addf(&s, "%s%s %s", sep, bs_kind_name(kind),
			    bs_fmt_short(buf, r->by_kind[kind]));
		sep = ", ";
	}
	if (*sep == ',')
		bs_str_add(&s, ")");
	if (!r->lost)
		bs_str_add(&s, ", nothing lost");
	return bs_part_line(o, BS_PLAIN, "events", &s);
}

static int head_stacks(struct bs_out *o, const struct bs_report *r)
{
	const struct bs_report_stacks *st = &r->stacks;
	struct bs_str s = {0};
	char buf[BS_FMT];

	if (!st->asked)
		return 0;
	bs_str_addf(&s, "%s taken, ", bs_fmt_count(buf, st->taken));
	bs_str_addf(&s, "%s distinct", bs_fmt_count(buf, st->distinct));
	if (st->truncated)
		bs_str_addf(&s,
			    st->copied ? "; %s truncated, deeper than what was copied of them"
				       : "; %s as deep as can be, perhaps not whole",
			    bs_fmt_count(buf, st->truncated));
	if (st->broken)
		bs_str_addf(&s, "; %s broken off where code %s", bs_fmt_count(buf, st->broken),
			    st->copied ? "has no call frame information"
				       : "keeps no frame pointers");
	if (st->missing)
		bs_str_addf(&s, "; %s event%s without one", bs_fmt_count(buf, st->missing),
			    st->missing == 1 ? "" : "s");
	if (st->no_event)
		bs_str_addf(&s, "; %s of events that were lost", bs_fmt_count(buf, st->no_event));
	if (st->ns > 0)
		bs_str_addf(&s, "; one costs some %.0f ns", st->ns);
	return bs_part_line(o, BS_PLAIN, "stacks", &s);
}

static int head_lost(struct bs_out *o, const struct bs_report *r)
{
	struct bs_str s = {0};
	char buf[BS_FMT];
	int err;

	if (!r->lost)
		return 0;
	bs_str_addf(&s, "%s of ", bs_fmt_count(buf, r->lost));
	bs_str_addf(&s, "%s events", bs_fmt_count(buf, r->written));
	if (r->written)
		bs_str_addf(&s, " (%s)",
			    bs_fmt_percent(buf, 100 * (double)r->lost / (double)r->written));
	err = bs_part_line(o, BS_ALARM, "LOST", &s);
	for (size_t i = 0; i < r->nreasons && !err; i++) {
		if (!r->reasons[i].count)
			continue;
		bs_str_addf(&s, "%s ", bs_fmt_count(buf, r->reasons[i].count));
		bs_str_add_clean(&s, r->reasons[i].text ? r->reasons[i].text : r->reasons[i].name);
		err = bs_part_line(o, BS_ALARM, "", &s);
	}
	if (!err) {
		bs_str_add(&s, "a lost drop looks like a leak: live objects and growth below are "
			       "upper bounds");
		err = bs_part_line(o, BS_ALARM, "", &s);
	}
	return err;
}

static int head_objects(struct bs_out *o, const struct bs_report *r)
{
	struct bs_str s = {0};
	char buf[BS_FMT];

	if (r->sampled)
		bs_str_add(&s, "followed: ");
	bs_str_addf(&s, "%s created, ", bs_fmt_count(buf, r->created));
	bs_str_addf(&s, "%s dropped, ", bs_fmt_count(buf, r->dropped));
	bs_str_addf(&s, "%s live", bs_fmt_count(buf, r->live));
	if (r->live_bytes)
		bs_str_addf(&s, " (%s)", bs_fmt_bytes(buf, (double)r->live_bytes));
	if (r->unknown)
		bs_str_addf(&s, "; %s mark%s on objects of which the beginning or end was not seen",
			    bs_fmt_count(buf, r->unknown), r->unknown == 1 ? "" : "s");
	return bs_part_line(o, BS_PLAIN, "objects", &s);
}

/* "12.3 k ±4 %": the further end, in percent; "12.3 k (≥ 9.1 k)" where there is no upper one. */
static void add_estimate(struct bs_str *s, const struct bs_report_interval *v, bool bytes)
{
	double half =
		v->high - v->value > v->value - v->low ? v->high - v->value : v->value - v->low;
	char buf[BS_FMT];

	bs_str_add(s, bytes ? bs_fmt_bytes(buf, v->value) : bs_fmt_si(buf, v->value));
	if (!isfinite(v->high)) {
		bs_str_addf(s, " (≥ %s)",
			    bytes ? bs_fmt_bytes(buf, v->low) : bs_fmt_si(buf, v->low));
		return;
	}
	if (v->value > 0)
		bs_str_addf(s, " ±%s", bs_fmt_percent(buf, 100 * half / v->value));
}

static int head_estimate(struct bs_out *o, const struct bs_report *r)
{
	const struct bs_report_estimate *e = &r->estimate;
	struct bs_str s = {0};

	if (!r->sampled)
		return 0;
	add_estimate(&s, &e->created, false);
	bs_str_add(&s, " created, ");
	add_estimate(&s, &e->dropped, false);
	bs_str_add(&s, " dropped, ");
	add_estimate(&s, &e->live, false);
	bs_str_add(&s, " live");
	if (e->live_bytes.value > 0) {
		bs_str_add(&s, " (");
		add_estimate(&s, &e->live_bytes, true);
		bs_str_add(&s, ")");
	}
	return bs_part_line(o, BS_PLAIN, "estimate", &s);
}

/* --- cells --------------------------------------------------------------------------------- */

static void cell_count(struct bs_table *t, uint64_t v)
{
	char buf[BS_FMT];

	bs_str_add(bs_table_cell(t), bs_fmt_short(buf, v));
}

/* No bytes most often means that the marks said no size: the cell stays empty. */
static void cell_bytes(struct bs_table *t, uint64_t v)
{
	struct bs_str *cell = bs_table_cell(t);
	char buf[BS_FMT];

	if (v)
		bs_str_add(cell, bs_fmt_bytes(buf, (double)v));
}

static void cell_ns(struct bs_table *t, uint64_t ns, bool known)
{
	struct bs_str *cell = bs_table_cell(t);
	char buf[BS_FMT];

	if (known)
		bs_str_add(cell, bs_fmt_ns(buf, (double)ns));
}

/* What is known of all objects: counted, or with sampling estimated. */
static void cell_all(struct bs_table *t, const struct bs_report *r, uint64_t v,
		     const struct bs_report_interval *estimate)
{
	if (r->sampled)
		add_estimate(bs_table_cell(t), estimate, false);
	else
		cell_count(t, v);
}

static void cell_all_bytes(struct bs_table *t, const struct bs_report *r, uint64_t v,
			   const struct bs_report_interval *estimate)
{
	if (r->sampled && v)
		add_estimate(bs_table_cell(t), estimate, true);
	else
		cell_bytes(t, v);
}

static void cell_name(struct bs_table *t, const char *s)
{
	bs_str_add_clean(bs_table_cell(t), s);
}

/*
 * Caller and place.  Where a caller is known it is the answer, and the place is the allocator
 * that all callers share: its function is enough, and leaves the caller its room.
 */
static void cells_where(struct bs_table *t, const struct bs_report *r, const char *caller,
			const char *function, const char *site)
{
	struct bs_str *cell;

	cell_name(t, caller);
	cell = bs_table_cell(t);
	if (function && *function) {
		bs_str_add_clean(cell, function);
		if (caller && !r->verbose)
			return;
		if (site && *site)
			bs_str_add(cell, " at ");
	}
	bs_str_add_clean(cell, site);
}

#define COLUMNS(c) (c), sizeof(c) / sizeof((c)[0])
#define COLUMN_CLASS                       \
	{                                  \
		"class", BS_LEFT, 16, 8, 0 \
	}
#define COLUMN_WHERE                        \
	{                                   \
		"where", BS_LEFT, 28, 16, 0 \
	}
#define COLUMN_CALLER                             \
	{                                         \
		"called from", BS_LEFT, 30, 16, 0 \
	}

/* --- tables -------------------------------------------------------------------------------- */

static int classes(struct bs_out *o, const struct bs_report *r)
{
	static const struct bs_column columns[] = {
		{"class", BS_LEFT, 24, 8, 0},	{"live", BS_RIGHT, 0, 0, 0},
		{"bytes", BS_RIGHT, 0, 0, 0},	{"created", BS_RIGHT, 0, 0, 1},
		{"dropped", BS_RIGHT, 0, 0, 2}, {"unknown", BS_RIGHT, 0, 0, 4},
		{"median", BS_RIGHT, 0, 0, 3},	{"p99", BS_RIGHT, 0, 0, 5},
		{"longest", BS_RIGHT, 0, 0, 3},
	};
	size_t shown = bs_part_shown(r, r->nclasses, BS_TOP_ROWS);
	struct bs_table t;
	char buf[BS_FMT];
	int err;

	bs_part_heading(o, "By class",
			r->sampled ? "estimated, ± 95 %; lifetimes are of what was followed"
				   : "median, p99, longest: lifetime of what was dropped");
	bs_table_init(&t, COLUMNS(columns));
	for (size_t i = 0; i < shown; i++) {
		const struct bs_report_class *c = &r->classes[i];
		struct bs_str *unknown;

		cell_name(&t, c->klass);
		cell_all(&t, r, c->live, &c->estimate.live);
		cell_all_bytes(&t, r, c->live_bytes, &c->estimate.live_bytes);
		cell_all(&t, r, c->created, &c->estimate.created);
		cell_all(&t, r, c->dropped, &c->estimate.dropped);
		unknown = bs_table_cell(&t);
		if (c->unknown)
			bs_str_add(unknown, bs_fmt_short(buf, c->unknown));
		cell_ns(&t, c->lifetime.p50_ns, c->lifetime.count);
		cell_ns(&t, c->lifetime.p99_ns, c->lifetime.count);
		cell_ns(&t, c->lifetime.max_ns, c->lifetime.count);
	}
	err = bs_table_print(&t, o, BS_PLAIN);
	bs_table_fini(&t);
	bs_part_more(o, shown, r->nclasses);
	return err;
}

static int origins(struct bs_out *o, const struct bs_report *r)
{
	static const struct bs_column columns[] = {
		COLUMN_CLASS,
		{"live", BS_RIGHT, 0, 0, 0},
		{"bytes", BS_RIGHT, 0, 0, 0},
		{"created", BS_RIGHT, 0, 0, 1},
		{"dropped", BS_RIGHT, 0, 0, 3},
		{"oldest", BS_RIGHT, 0, 0, 2},
		{"median", BS_RIGHT, 0, 0, 4},
		COLUMN_CALLER,
		COLUMN_WHERE,
	};
	size_t shown = bs_part_shown(r, r->norigins, BS_TOP_ROWS);
	struct bs_table t;
	int err;

	bs_part_heading(o, "By site",
			r->sampled ? "where the objects come from; estimated"
				   : "where the objects come from");
	bs_table_init(&t, COLUMNS(columns));
	for (size_t i = 0; i < shown; i++) {
		const struct bs_report_origin *row = &r->origins[i];

		cell_name(&t, row->klass);
		cell_all(&t, r, row->live, &row->estimate.live);
		cell_all_bytes(&t, r, row->live_bytes, &row->estimate.live_bytes);
		cell_all(&t, r, row->created, &row->estimate.created);
		cell_all(&t, r, row->dropped, &row->estimate.dropped);
		cell_ns(&t, row->oldest_ns, row->live);
		cell_ns(&t, row->lifetime.p50_ns, row->lifetime.count);
		cells_where(&t, r, row->caller, row->function, row->site);
	}
	err = bs_table_print(&t, o, BS_PLAIN);
	bs_table_fini(&t);
	bs_part_more(o, shown, r->norigins);
	return err;
}

/* Rows that may be growing, but within their error; others are left out. */
static bool perhaps(const struct bs_report_growth *g)
{
	return !bs_report_growth_sure(g) &&
	       (bs_report_growth_by_objects(g) ? g->objects_per_s : g->bytes_per_s) > 0;
}

static int growth_table(struct bs_out *o, const struct bs_report *r, bool sure, size_t top)
{
	static const struct bs_column columns[] = {
		COLUMN_CLASS,
		{"grows by", BS_RIGHT, 0, 0, 0},
		{"live", BS_RIGHT, 0, 0, 3},
		{"bytes", BS_RIGHT, 0, 0, 2},
		{"oldest", BS_RIGHT, 0, 0, 1},
		COLUMN_CALLER,
		COLUMN_WHERE,
	};
	size_t all = 0, shown = 0;
	struct bs_table t;
	int err;

	bs_table_init(&t, COLUMNS(columns));
	for (size_t i = 0; i < r->ngrowth; i++) {
		const struct bs_report_growth *g = &r->growth[i];
		struct bs_str *cell;
		char buf[BS_FMT];

		if (sure ? !bs_report_growth_sure(g) : !perhaps(g))
			continue;
		all++;
		if (!r->verbose && shown == top)
			continue;
		shown++;
		cell_name(&t, g->klass);
		cell = bs_table_cell(&t);
		bs_str_add(cell, sure ? "" : "~ ");
		if (bs_report_growth_by_objects(g))
			bs_str_add(cell,
				   bs_fmt_objects_rate(buf, g->objects_per_s, g->objects_error));
		else
			bs_str_add(cell, bs_fmt_bytes_rate(buf, g->bytes_per_s, g->error));
		cell_all(&t, r, g->live, &g->estimate.live);
		cell_all_bytes(&t, r, g->live_bytes, &g->estimate.live_bytes);
		cell_ns(&t, g->oldest_ns, g->live);
		cells_where(&t, r, g->caller, g->function, g->site);
	}
	err = shown ? bs_table_print(&t, o, sure ? BS_PLAIN : BS_DIM) : 0;
	bs_table_fini(&t);
	bs_part_more(o, shown, all);
	return err;
}

static bool all_exited(const struct bs_report *r)
{
	for (size_t i = 0; i < r->nprocesses; i++)
		if (!r->processes[i].exited)
			return false;
	return r->nprocesses > 0;
}

/* By objects a few that are far larger than all others may not be followed: see sampled.c. */
static const char *growth_means(const struct bs_report *r)
{
	bool any_size = r->sampled && !(r->sample_bytes > 0);

	if (any_size)
		return r->lost ? "events were lost; ± is a 95 % interval; bytes may grow faster"
			       : "± is a 95 % interval; bytes may grow faster";
	return r->lost ? "upper bounds, for events were lost; ± is a 95 % interval"
		       : "± is a 95 % interval";
}

static int growth(struct bs_out *o, const struct bs_report *r)
{
	size_t sure = 0, unsure = 0;
	int err = 0;

	for (size_t i = 0; i < r->ngrowth; i++) {
		sure += bs_report_growth_sure(&r->growth[i]);
		unsure += perhaps(&r->growth[i]);
	}
	bs_part_heading(o, "What grows", growth_means(r));
	if (sure)
		err = growth_table(o, r, true, BS_TOP_ROWS);
	else if (!r->ngrowth && r->nat_exit && all_exited(r))
		/* What grew until then went with the process. */
		bs_out_str(o, "  no process is left to grow: see what was live at exit\n");
	else
		bs_out_str(o,
			   unsure ? "  nothing grows for sure; these may, within their error (~):\n"
				  : "  nothing grows for sure\n");
	if (!err && unsure && (!sure || r->verbose)) {
		if (sure)
			bs_out_str(o, "  not for sure, within their error (~):\n");
		err = growth_table(o, r, false, UNSURE_ROWS);
	}
	return err;
}

static int older(struct bs_out *o, const struct bs_report *r)
{
	static const struct bs_column columns[] = {
		COLUMN_CLASS,
		{"live", BS_RIGHT, 0, 0, 0},
		{"bytes", BS_RIGHT, 0, 0, 0},
		{"oldest", BS_RIGHT, 0, 0, 0},
		COLUMN_CALLER,
		COLUMN_WHERE,
	};
	size_t shown = bs_part_shown(r, r->nolder, BS_TOP_ROWS);
	char title[2 * BS_FMT], buf[BS_FMT];
	struct bs_table t;
	int err;

	if (!r->older_than_ns)
		return 0;
	snprintf(title, sizeof(title), "Live for %s or longer",
		 bs_fmt_ns(buf, (double)r->older_than_ns));
	bs_part_heading(o, title, NULL);
	if (!r->nolder) {
		bs_out_str(o, "  none\n");
		return 0;
	}
	bs_table_init(&t, COLUMNS(columns));
	for (size_t i = 0; i < shown; i++) {
		const struct bs_report_origin *row = &r->older[i];

		cell_name(&t, row->klass);
		cell_all(&t, r, row->live, &row->estimate.live);
		cell_all_bytes(&t, r, row->live_bytes, &row->estimate.live_bytes);
		cell_ns(&t, row->oldest_ns, row->live);
		cells_where(&t, r, row->caller, row->function, row->site);
	}
	err = bs_table_print(&t, o, BS_PLAIN);
	bs_table_fini(&t);
	bs_part_more(o, shown, r->nolder);
	return err;
}

static int at_exit(struct bs_out *o, const struct bs_report *r)
{
	static const struct bs_column columns[] = {
		COLUMN_CLASS,
		{"objects", BS_RIGHT, 0, 0, 0},
		{"bytes", BS_RIGHT, 0, 0, 0},
		{"pid", BS_RIGHT, 0, 0, 1},
		COLUMN_CALLER,
		COLUMN_WHERE,
	};
	size_t shown = bs_part_shown(r, r->nat_exit, BS_TOP_ROWS);
	bool exited = r->nat_exit > 0;
	struct bs_table t;
	int err;

	for (size_t i = 0; i < r->nprocesses; i++)
		exited |= r->processes[i].exited;
	if (!exited)
		return 0;
	bs_part_heading(o, "Live at exit", "no error by itself");
	if (!r->nat_exit) {
		bs_out_str(o, "  none\n");
		return 0;
	}
	bs_table_init(&t, COLUMNS(columns));
	for (size_t i = 0; i < shown; i++) {
		const struct bs_report_exit *e = &r->at_exit[i];
		struct bs_str *pid;

		cell_name(&t, e->klass);
		cell_all(&t, r, e->count, &e->all_count);
		cell_all_bytes(&t, r, e->bytes, &e->all_bytes);
		pid = bs_table_cell(&t);
		if (r->nprocesses > 1)
			bs_str_addf(pid, "%u", e->pid);
		cells_where(&t, r, e->caller, e->function, e->site);
	}
	err = bs_table_print(&t, o, BS_PLAIN);
	bs_table_fini(&t);
	bs_part_more(o, shown, r->nat_exit);
	return err;
}

/* Every site that was hit, for who wants to know where the events come from. */
static int hits(struct bs_out *o, const struct bs_report *r)
{
	static const struct bs_column columns[] = {
		{"hits", BS_RIGHT, 0, 0, 0},
		{"kind", BS_LEFT, 0, 0, 0},
		COLUMN_CLASS,
		{"name", BS_LEFT, 16, 8, 1},
		COLUMN_CALLER,
		COLUMN_WHERE,
		{"binary", BS_LEFT, 16, 8, 2},
	};
	struct bs_table t;
	int err = 0;

	if (!r->verbose)
		return 0;
	/* The caller's column stays empty, so it is not shown. */
	bs_table_init(&t, COLUMNS(columns));
	for (size_t i = 0; i < r->nsites; i++) {
		const struct bs_report_site *s = &r->sites[i];
		struct bs_str place = {0};

		if (!s->hits)
			continue;
		cell_count(&t, s->hits);
		cell_name(&t, s->kind);
		cell_name(&t, s->klass);
		cell_name(&t, s->name);
		bs_str_addf(&place, "%s:%u", s->file ? s->file : "?", s->line);
		cells_where(&t, r, NULL, s->function, text_of(&place));
		err = place.err ? place.err : err;
		bs_str_fini(&place);
		cell_name(&t, s->binary);
	}
	if (t.ncells && !err) {
		bs_part_heading(o, "Hits", "by place of the mark");
		err = bs_table_print(&t, o, BS_PLAIN);
	}
	bs_table_fini(&t);
	return err;
}

static int notes(struct bs_out *o, const struct bs_report *r)
{
	int err = 0;

	for (size_t i = 0; i < r->nnotes && !err; i++) {
		struct bs_str s = {0};

		if (!i)
			bs_out_str(o, "\n");
		bs_str_add_clean(&s, r->notes[i]);
		err = bs_part_line(o, BS_PLAIN, i ? "" : "notes", &s);
	}
	return err;
}

int bs_render_text(FILE *out, const struct bs_report *r, unsigned width, bool color)
{
	static int (*const parts[])(struct bs_out *, const struct bs_report *) = {
		head_title,
		head_started,
		head_processes,
		head_command,
		head_mode,
		head_sites,
		head_events,
		head_lost,
		head_stacks,
		head_objects,
		head_estimate,
		bs_part_verdicts_head,
		bs_part_cycles_head,
		bs_part_cost,
		bs_part_verdicts,
		bs_part_cycles,
		classes,
		origins,
		growth,
		older,
		bs_part_lock_uses,
		at_exit,
		hits,
		notes,
	};
	struct bs_out o = {.file = out, .color = color};
	int err = 0;

	o.width = !width ? 100 : width < 80 ? 80 : width > 400 ? 400 : width;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && !err; i++) {
		if ((parts[i] == classes || parts[i] == origins) && !r->nclasses && !r->norigins)
			continue; /* the head says that there were no objects */
		err = parts[i](&o, r);
	}
	return err ? err : bs_out_finish(&o);
}
