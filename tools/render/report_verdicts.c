// SPDX-License-Identifier: GPL-2.0-only
/* report_verdicts.c - the verdicts as text: what is wrong, and the two marks that prove it. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "bscope/abi.h"
#include "render/human.h"
#include "render/report.h"
#include "render/report_part.h"
#include "render/utf8.h"
#include "target/sites.h"

static const char *text_of(const struct bs_str *s)
{
	return s->s ? s->s : "";
}

/* Whether marks of the kinds that were lit could prove anything. */
static bool provable(const struct bs_report *r)
{
	unsigned lit = 0;

	for (size_t i = 0; i < r->nsites; i++)
		if (r->sites[i].lit)
			lit |= 1u << bs_kind_find(r->sites[i].kind);
#define LIT(kind) (lit >> BSCOPE_KIND_##kind & 1)
	return (LIT(DROP) && (LIT(NEW) || LIT(RESIZE_END) || LIT(BORROW))) || LIT(BORROW_MUT) ||
	       (LIT(MOVE) && LIT(USE)) || (LIT(NEW) && LIT(REGION_EXIT));
#undef LIT
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

/* "4 double-drop, 1 leak": each verdict once, in the order in which they come. */
static void add_summary(struct bs_str *s, const struct bs_report *r)
{
	char buf[BS_FMT];

	for (size_t i = 0; i < r->nverdicts; i++) {
		const char *name = r->verdicts[i].verdict;
		uint64_t count = 0;
		size_t before = 0;

		while (before < i && !same(r->verdicts[before].verdict, name))
			before++;
		if (before < i)
			continue;
		for (size_t k = i; k < r->nverdicts; k++)
			if (same(r->verdicts[k].verdict, name))
				count += r->verdicts[k].count;
		bs_str_addf(s, "%s%s ", i ? ", " : "", bs_fmt_count(buf, count));
		bs_str_add_clean(s, name);
	}
}

int bs_part_verdicts_head(struct bs_out *o, const struct bs_report *r)
{
	struct bs_str s = {0};
	char buf[BS_FMT];
	int err;

	if (!r->nverdicts && !r->undecided && !provable(r))
		return 0;
	add_summary(&s, r);
	if (!r->nverdicts)
		bs_str_add(&s, "none");
	err = bs_part_line(o, r->nverdicts ? BS_ALARM : BS_PLAIN, "verdicts", &s);
	if (err || !r->undecided)
		return err;
	bs_str_addf(&s,
		    "%s mark%s undecided: what was lost, not lit, or marked at the same moment by "
		    "another thread could explain %s",
		    bs_fmt_count(buf, r->undecided),
		    r->undecided == 1 ? " looks wrong but is" : "s look wrong but are",
		    r->undecided == 1 ? "it" : "them");
	return bs_part_line(o, BS_PLAIN, "", &s);
}

/* What a mark says that its object went through. */
static const char *past(const char *kind)
{
	static const char *const words[] = {
		[BSCOPE_KIND_NEW] = "made",
		[BSCOPE_KIND_DROP] = "dropped",
		[BSCOPE_KIND_RESIZE_BEGIN] = "resized",
		[BSCOPE_KIND_RESIZE_END] = "resized",
		[BSCOPE_KIND_MOVE] = "moved",
		[BSCOPE_KIND_BORROW] = "borrowed",
		[BSCOPE_KIND_BORROW_MUT] = "borrowed mutably",
		[BSCOPE_KIND_UNBORROW] = "given back",
		[BSCOPE_KIND_RETAIN] = "retained",
		[BSCOPE_KIND_RELEASE] = "released",
		[BSCOPE_KIND_USE] = "used",
		[BSCOPE_KIND_REGION_ENTER] = "region entered",
		[BSCOPE_KIND_REGION_EXIT] = "region left",
	};
	unsigned k = kind ? bs_kind_find(kind) : 0;

	return k && k < sizeof(words) / sizeof(words[0]) ? words[k] : "marked";
}

/* Labels of the two marks: what happened, and what had happened before. */
static void labels(const struct bs_report_verdict *v, struct bs_str *at, struct bs_str *since)
{
	bool leak = same(v->verdict, "leak");

	/* The end of somebody else, not of the object itself. */
	if (same(v->verdict, "borrow-outlives-owner"))
		bs_str_add(at, "borrower ");
	else if (leak && same(v->at.kind, "drop"))
		bs_str_add(at, "owner ");
	bs_str_add(at, past(v->at.kind));
	bs_str_add(since, past(v->since.kind));
	if (leak && same(v->since.kind, "move"))
		bs_str_add(since, " to it");
	else if (same(text_of(at), text_of(since)))
		bs_str_add(since, " before");
}

/* Prints one line, as much of it as fits, and frees it. */
static int put(struct bs_out *o, enum bs_style style, struct bs_str *s)
{
	struct bs_str shown = {0};
	int err;

	bs_str_add_short(&shown, text_of(s), o->width);
	bs_out_styled(o, style, text_of(&shown));
	bs_out_str(o, "\n");
	err = s->err ? s->err : shown.err;
	bs_str_fini(&shown);
	bs_str_fini(s);
	return err;
}

/* Adds a name in so much of the width as `rest`, which will follow, leaves. */
static void add_fitting(struct bs_str *s, const struct bs_out *o, const char *name,
			const char *rest)
{
	size_t taken = bs_utf8_columns(text_of(s)) + bs_utf8_columns(rest);

	bs_str_add_short(s, name, taken + 16 < o->width ? o->width - taken : 16);
	bs_str_add(s, rest);
}

/* What the count says that went wrong. */
static void add_balance(struct bs_str *s, int64_t balance)
{
	uint64_t n = balance < 0 ? -(uint64_t)balance : (uint64_t)balance;
	char buf[BS_FMT];

	bs_fmt_count(buf, n);
	if (balance < 0)
		bs_str_addf(s, ", %s release%s too many", buf, n == 1 ? "" : "s");
	else
		bs_str_addf(s, ", %s reference%s left", buf, n == 1 ? "" : "s");
}

static int title(struct bs_out *o, const struct bs_report *r, const struct bs_report_verdict *v)
{
	struct bs_str line = {0}, klass = {0}, rest = {0};
	char buf[BS_FMT];
	int err;

	bs_str_addf(&rest, " 0x%" PRIx64, v->id);
	if (v->counted)
		add_balance(&rest, v->balance);
	if (v->count > 1)
		bs_str_addf(&rest, ", %s times", bs_fmt_count(buf, v->count));
	if (r->nprocesses > 1)
		bs_str_addf(&rest, ", pid %u", v->pid);
	bs_str_add(&line, "  ");
	bs_str_add_clean(&line, v->verdict);
	bs_str_add(&line, "  ");
	bs_str_add_clean(&klass, v->klass);
	add_fitting(&line, o, text_of(&klass), text_of(&rest));
	err = klass.err ? klass.err : rest.err;
	bs_str_fini(&klass);
	bs_str_fini(&rest);
	if (!err)
		return put(o, BS_BOLD, &line);
	bs_str_fini(&line);
	return err;
}

/* when: where in time that was; adds nothing when empty. */
static int evidence(struct bs_out *o, const struct bs_report_mark *m, const struct bs_str *label,
		    size_t columns, const char *when)
{
	struct bs_str line = {0}, where = {0}, rest = {0};
	int err;

	if (m->thread)
		bs_str_addf(&rest, ", thread %u", m->thread);
	bs_str_add(&rest, when);
	if (m->function && *m->function)
		bs_str_add_clean(&where, m->function);
	/* Who called is the answer; the place is the one that all callers share. */
	if (m->caller && *m->caller) {
		bs_str_add(&where, " called from ");
		bs_str_add_clean(&where, m->caller);
	} else {
		bs_str_add(&where, m->function && *m->function ? " at " : "");
		bs_str_add_clean(&where, m->file && *m->file ? m->file : "?");
		bs_str_addf(&where, ":%u", m->line);
	}
	bs_str_addf(&line, "    %-*s", (int)columns + 2, text_of(label));
	add_fitting(&line, o, text_of(&where), text_of(&rest));
	err = where.err ? where.err : rest.err;
	bs_str_fini(&where);
	bs_str_fini(&rest);
	if (!err)
		return put(o, BS_PLAIN, &line);
	bs_str_fini(&line);
	return err;
}

static int finding(struct bs_out *o, const struct bs_report *r, const struct bs_report_verdict *v)
{
	char when[2 * BS_FMT] = "", before[2 * BS_FMT] = "", buf[BS_FMT];
	struct bs_str at = {0}, since = {0};
	size_t columns;
	int err;

	/* Clocks of two threads may differ by more than there is between two marks. */
	if (v->at.ns >= r->start_monotonic_ns)
		snprintf(when, sizeof(when), ", at %s",
			 bs_fmt_ns(buf, (double)(v->at.ns - r->start_monotonic_ns)));
	if (v->at.ns >= v->since.ns)
		snprintf(before, sizeof(before), ", %s earlier",
			 bs_fmt_ns(buf, (double)(v->at.ns - v->since.ns)));
	labels(v, &at, &since);
	columns = at.len > since.len ? at.len : since.len;
	err = at.err ? at.err : since.err;
	if (!err)
		err = title(o, r, v);
	if (!err)
		err = evidence(o, &v->at, &at, columns, when);
	if (!err)
		err = evidence(o, &v->since, &since, columns, before);
	bs_str_fini(&at);
	bs_str_fini(&since);
	return err;
}

int bs_part_verdicts(struct bs_out *o, const struct bs_report *r)
{
	size_t shown = bs_part_shown(r, r->nverdicts, BS_TOP_ROWS);
	int err = 0;

	if (!r->nverdicts)
		return 0;
	bs_part_heading(o, "Verdicts",
			"what the marks prove; of many at the same places the first is shown");
	for (size_t i = 0; i < shown && !err; i++)
		err = finding(o, r, &r->verdicts[i]);
	bs_part_more(o, shown, r->nverdicts);
	return err;
}
