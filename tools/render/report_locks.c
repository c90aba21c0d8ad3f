// SPDX-License-Identifier: GPL-2.0-only
/* report_locks.c - locks as text: in which orders they were taken, and for how long. */
#include <inttypes.h>
#include <stdio.h>

#include "render/human.h"
#include "render/report.h"
#include "render/report_part.h"
#include "render/table.h"
#include "render/utf8.h"

static const char *text_of(const struct bs_str *s)
{
	return s->s ? s->s : "";
}

int bs_part_cycles_head(struct bs_out *o, const struct bs_report *r)
{
	uint64_t count = 0;
	struct bs_str s = {0};
	char buf[BS_FMT];

	if (!r->ncycles)
		return 0;
	for (size_t i = 0; i < r->ncycles; i++)
		count += r->cycles[i].count;
	bs_str_addf(&s,
		    "%s lock-cycle: orders in which locks were taken, that could meet in a "
		    "deadlock",
		    bs_fmt_count(buf, count));
	return bs_part_line(o, BS_ALARM, "locks", &s);
}

/* "mutex 0x1234 at worker+0x5 (app)": which lock, and who took it. */
static void add_lock(struct bs_str *s, const struct bs_report_mark *m, uint64_t id)
{
	bs_str_add_clean(s, m->klass);
	bs_str_addf(s, " 0x%" PRIx64 " at ", id);
	if (m->caller && *m->caller) {
		bs_str_add_clean(s, m->caller);
		return;
	}
	if (m->function && *m->function) {
		bs_str_add_clean(s, m->function);
		bs_str_add(s, " at ");
	}
	bs_str_add_clean(s, m->file && *m->file ? m->file : "?");
	bs_str_addf(s, ":%u", m->line);
}

/* One line, as much of it as fits. */
static int put(struct bs_out *o, const char *label, const struct bs_report_mark *m, uint64_t id,
	       const char *rest)
{
	struct bs_str line = {0}, lock = {0};
	size_t taken;
	int err;

	add_lock(&lock, m, id);
	bs_str_add(&line, label);
	taken = bs_utf8_columns(label) + bs_utf8_columns(rest);
	bs_str_add_short(&line, text_of(&lock), taken + 16 < o->width ? o->width - taken : 16);
	bs_str_add(&line, rest);
	err = lock.err ? lock.err : line.err;
	bs_out_str(o, text_of(&line));
	bs_out_str(o, "\n");
	bs_str_fini(&lock);
	bs_str_fini(&line);
	return err;
}

static int edge(struct bs_out *o, const struct bs_report *r, const struct bs_report_cycle_edge *e)
{
	char label[64], rest[2 * BS_FMT] = "", buf[BS_FMT];
	int err;

	snprintf(label, sizeof(label), "    thread %-8u held ", e->wanted.thread);
	err = put(o, label, &e->held, e->held_id, "");
	if (err)
		return err;
	if (e->wanted.ns >= r->start_monotonic_ns)
		snprintf(rest, sizeof(rest), ", at %s",
			 bs_fmt_ns(buf, (double)(e->wanted.ns - r->start_monotonic_ns)));
	return put(o, "                 and took ", &e->wanted, e->wanted_id, rest);
}

int bs_part_cycles(struct bs_out *o, const struct bs_report *r)
{
	size_t shown = bs_part_shown(r, r->ncycles, BS_TOP_ROWS);
	char buf[BS_FMT];
	int err = 0;

	if (!r->ncycles)
		return 0;
	bs_part_heading(o, "Orders of locks",
			"none need have met; that they were taken is what is proven");
	for (size_t i = 0; i < shown && !err; i++) {
		const struct bs_report_cycle *c = &r->cycles[i];
		struct bs_str s = {0};

		bs_str_addf(&s, "  lock-cycle  of %zu threads", c->n);
		if (c->count > 1)
			bs_str_addf(&s, ", %s times", bs_fmt_count(buf, c->count));
		if (r->nprocesses > 1)
			bs_str_addf(&s, ", pid %u", c->pid);
		err = s.err;
		bs_out_styled(o, BS_BOLD, text_of(&s));
		bs_out_str(o, "\n");
		bs_str_fini(&s);
		for (size_t k = 0; k < c->n && !err; k++)
			err = edge(o, r, &c->edges[k]);
	}
	bs_part_more(o, shown, r->ncycles);
	return err;
}

int bs_part_lock_uses(struct bs_out *o, const struct bs_report *r)
{
	static const struct bs_column columns[] = {
		{"class", BS_LEFT, 16, 8, 0},	{"times", BS_RIGHT, 0, 0, 0},
		{"median", BS_RIGHT, 0, 0, 1},	{"p99", BS_RIGHT, 0, 0, 2},
		{"longest", BS_RIGHT, 0, 0, 0}, {"called from", BS_LEFT, 30, 16, 0},
		{"where", BS_LEFT, 28, 16, 0},
	};
	size_t shown = bs_part_shown(r, r->nlock_uses, BS_TOP_ROWS);
	struct bs_table t;
	int err;

	if (!r->nlock_uses)
		return 0;
	bs_part_heading(o, "Locks", "for how long they were held exclusively, the longest first");
	bs_table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < shown; i++) {
		const struct bs_report_lock_use *u = &r->lock_uses[i];
		const uint64_t times[] = {u->held.p50_ns, u->held.p99_ns, u->held.max_ns};
		char buf[BS_FMT];

		bs_str_add_clean(bs_table_cell(&t), u->klass);
		bs_str_add(bs_table_cell(&t), bs_fmt_short(buf, u->held.count));
		for (size_t k = 0; k < 3; k++)
			bs_str_add(bs_table_cell(&t), bs_fmt_ns(buf, (double)times[k]));
		bs_str_add_clean(bs_table_cell(&t), u->caller);
		bs_str_add_clean(bs_table_cell(&t), u->function ? u->function : u->site);
	}
	err = bs_table_print(&t, o, BS_PLAIN);
	bs_table_fini(&t);
	bs_part_more(o, shown, r->nlock_uses);
	return err;
}
