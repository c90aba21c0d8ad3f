/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * verdict.c - what was done wrong, once nothing that was seen can explain it.
 *
 *   double-drop            two drops, no new between
 *   use-after-drop         any other mark after a drop, no new between
 *   use-after-move         a use by who neither owns nor borrows it since the move
 *   drop-while-borrowed    a drop with borrows in force
 *   conflicting-borrow     exclusive, overlapping with another's borrow
 *   unbalanced-count       at a drop, seen since its new: 1 + retains - releases is not 0
 *   borrow-outlives-owner  its borrower was dropped, and it was ended by another thread, or never
 *   leak                   alive when its region ended, or when all ends and its owner is gone
 *
 * A mark that looks wrong is a suspect first.  Clocks of CPUs differ and run ahead of what
 * surrounds them, so for BS_MODEL_SKEW_NS a mark of another thread may come that belongs before it.
 * Then nothing may be missing in between: no loss, no site of the class that was not lit.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bscope/abi.h"
#include "model/state.h"

/* Findings that differ by their places; what comes on top is counted as undecided. */
#define FINDINGS_MAX 65536u

/* With coarse stamps so many wait at a time. */
#define COARSE_SUSPECTS_MAX 65536u

int bs_suspect(struct bs_model *m, enum bs_verdict verdict, const struct bs_event *ev,
	       struct bs_key object, struct bs_evidence since, uint64_t after_ns, uint64_t by,
	       uint64_t other)
{
	struct bs_suspect *s;

	/* They wait for a second, and there may be any number of them. */
	if (m->coarse_ns &&
	    (m->classes[object.klass].shared || m->nsuspects == COARSE_SUSPECTS_MAX)) {
		bs_undecided(m);
		return 0;
	}
	if (m->nsuspects == m->suspects_cap) {
		uint32_t cap = m->suspects_cap ? m->suspects_cap * 2 : 64;

		s = reallocarray(m->suspects, cap, sizeof(*s));
		if (!s)
			return -ENOMEM;
		m->suspects = s;
		m->suspects_cap = cap;
	}
	s = &m->suspects[m->nsuspects++];
	*s = (struct bs_suspect){
		.row =
			{
				.verdict = verdict,
				.klass_id = (uint32_t)object.klass,
				.pid = ev->pid,
				.tid = ev->tid,
				.id = object.id,
				.at = bs_pin(m, ev),
				.since = since.place,
				.since_tid = since.tid,
				.at_ns = ev->ts_ns,
				.since_ns = since.ts_ns,
				.count = 1,
			},
		.key = object,
		.by = by,
		.other = other,
		.other_tid = since.tid,
		.other_ns = since.ts_ns,
		.after_ns = after_ns,
	};
	return 0;
}

uint64_t bs_proof_ns(const struct bs_model *m, const struct bs_proc *p, struct bs_key object,
		     uint64_t since_ns)
{
	uint32_t klass = (uint32_t)object.klass;
	const struct bs_obj *obj = bs_objects_find(
		&p->objects, bs_objects_hash(m->seed, klass, object.id), klass, object.id);

	/* Who has that id is not known for certain. */
	if (obj && obj->flags & BS_OBJ_DOUBT)
		return 0;
	if (obj && !(obj->flags & BS_OBJ_DEAD))
		return obj->birth_ns < since_ns ? obj->birth_ns : since_ns;
	/* From the beginning; unless it has no life that anybody speaks of. */
	return m->classes[klass].has_new ? 1 : since_ns;
}

/* Would that mark, had it been a moment earlier, have made it right? */
static bool explains(struct bs_suspect *s, const struct bs_event *ev)
{
	bool borrow = ev->kind == BSCOPE_KIND_BORROW || ev->kind == BSCOPE_KIND_BORROW_MUT;

	/* Said of the next one. */
	if (ev->kind == BSCOPE_KIND_NEW || ev->kind == BSCOPE_KIND_RESIZE_END)
		return true;
	switch (s->row.verdict) {
	case BS_VERDICT_USE_AFTER_MOVE:
		return (ev->kind == BSCOPE_KIND_MOVE || borrow) && ev->arg == s->by;
	case BS_VERDICT_DROP_WHILE_BORROWED:
	case BS_VERDICT_BORROW_OUTLIVES_OWNER:
		return ev->kind == BSCOPE_KIND_UNBORROW && ev->arg == s->by;
	case BS_VERDICT_UNBALANCED_COUNT:
		/* Others may be on their way too, so it is not known any more. */
		return ev->kind == BSCOPE_KIND_RETAIN || ev->kind == BSCOPE_KIND_RELEASE;
	case BS_VERDICT_LEAK:
		return ev->kind == BSCOPE_KIND_DROP || ev->kind == BSCOPE_KIND_MOVE ||
		       ev->kind == BSCOPE_KIND_RETAIN || ev->kind == BSCOPE_KIND_RELEASE ||
		       ev->kind == BSCOPE_KIND_RESIZE_BEGIN;
	default:
		return false;
	}
}

/*
 * Would it, had it been a moment earlier than what the mark is held against?  What was borrowed is
 * the next one then.
 */
static bool explains_since(const struct bs_suspect *s, const struct bs_event *ev)
{
	return (s->row.verdict == BS_VERDICT_DOUBLE_DROP ||
		s->row.verdict == BS_VERDICT_CONFLICTING_BORROW) &&
	       (ev->kind == BSCOPE_KIND_NEW || ev->kind == BSCOPE_KIND_RESIZE_END);
}

/*
 * The end of one hold may have been before the other began, so that they never were in force
 * together.
 */
static bool ends_overlap(const struct bs_suspect *s, const struct bs_event *ev)
{
	if (s->row.verdict != BS_VERDICT_CONFLICTING_BORROW || ev->kind != BSCOPE_KIND_UNBORROW)
		return false;
	return (ev->arg == s->other && bs_no_order(ev, s->row.tid, s->row.at_ns)) ||
	       (ev->arg == s->by && bs_no_order(ev, s->other_tid, s->other_ns));
}

/*
 * It was ended by another thread than its holder's destructor; or that was the end of the next one,
 * by the next of that id, and its own comes now.
 */
static bool ends_next(const struct bs_suspect *s, const struct bs_event *ev)
{
	return s->end_ns && bs_no_order(ev, s->end_tid, s->end_ns) && ev->arg == s->by &&
	       (ev->kind == BSCOPE_KIND_BORROW || ev->kind == BSCOPE_KIND_BORROW_MUT ||
		ev->kind == BSCOPE_KIND_UNBORROW);
}

bool bs_suspects_explain(struct bs_model *m, const struct bs_event *ev)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < m->nsuspects; i++) {
		struct bs_suspect *s = &m->suspects[i];
		bool same = s->row.pid == ev->pid && s->key.id == ev->id &&
			    s->key.klass == ev->klass_id;
		bool explained;

		explained =
			same && ((bs_no_order(ev, s->row.tid, s->row.at_ns) && explains(s, ev)) ||
				 (bs_no_order(ev, s->row.since_tid, s->row.since_ns) &&
				  explains_since(s, ev)) ||
				 ends_overlap(s, ev) || ends_next(s, ev));
		if (explained)
			m->undecided++;
		else
			m->suspects[kept++] = *s;
	}
	if (kept == m->nsuspects)
		return false;
	m->nsuspects = kept;
	return true;
}

void bs_suspects_void(struct bs_model *m, const struct bs_event *ev)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < m->nsuspects; i++) {
		struct bs_suspect *s = &m->suspects[i];

		if (s->row.pid == ev->pid && s->key.id == ev->id && s->key.klass == ev->klass_id &&
		    ev->ts_ns <= s->row.at_ns + BS_MODEL_SKEW_NS)
			m->undecided++;
		else
			m->suspects[kept++] = *s;
	}
	m->nsuspects = kept;
}

static bool complete(const struct bs_model *m, const struct bs_suspect *s)
{
	const struct bs_class *c = &m->classes[s->key.klass];

	/* These are about two objects, of two classes. */
	if (m->shared && (s->row.verdict == BS_VERDICT_BORROW_OUTLIVES_OWNER ||
			  s->row.verdict == BS_VERDICT_LEAK))
		return false;
	/* Of a region the marks are those of the thread that made the object; else it is s->by. */
	if (m->several && (s->row.verdict == BS_VERDICT_BORROW_OUTLIVES_OWNER ||
			   (s->row.verdict == BS_VERDICT_LEAK && s->by)))
		return false;
	return bs_seen_since(m, c, s->after_ns) &&
	       (c->has_new || (s->row.verdict != BS_VERDICT_DOUBLE_DROP &&
			       s->row.verdict != BS_VERDICT_USE_AFTER_DROP));
}

static int find(struct bs_model *m, const struct bs_verdict_row *row)
{
	struct bs_finding *f, probe;

	memset(&probe, 0, sizeof(probe));
	probe.key.verdict = row->verdict;
	probe.key.klass = row->klass_id;
	probe.key.at = row->at;
	probe.key.since = row->since;
	HASH_FIND(hh, m->findings, &probe.key, sizeof(probe.key), f);
	if (f) {
		f->row.count++;
		return 0;
	}
	if (HASH_COUNT(m->findings) == FINDINGS_MAX) {
		m->undecided++;
		return 0;
	}
	f = malloc(sizeof(*f));
	if (!f)
		return -ENOMEM;
	*f = probe;
	f->row = *row;
	HASH_ADD(hh, m->findings, key, sizeof(f->key), f);
	return 0;
}

int bs_suspects_decide(struct bs_model *m, uint64_t now_ns)
{
	uint64_t wait = m->coarse_ns ? m->coarse_ns : BS_MODEL_SKEW_NS;
	uint32_t n = 0;
	int err = 0;

	for (; n < m->nsuspects && !err; n++) {
		const struct bs_suspect *s = &m->suspects[n];
		uint64_t last_ns = s->end_ns > s->row.at_ns ? s->end_ns : s->row.at_ns;

		if (now_ns < last_ns || now_ns - last_ns <= wait)
			break;
		if (complete(m, s))
			err = find(m, &s->row);
		else
			m->undecided++;
	}
	m->nsuspects -= n;
	if (m->nsuspects)
		memmove(m->suspects, m->suspects + n, m->nsuspects * sizeof(*m->suspects));
	return err;
}

void bs_findings_fini(struct bs_model *m)
{
	struct bs_finding *f, *next;

	HASH_ITER (hh, m->findings, f, next) {
		HASH_DEL(m->findings, f);
		free(f);
	}
	free(m->suspects);
	free(m->twins.v);
	free(m->marks.v);
	free(m->resized.v);
	free(m->fresh.v);
	free(m->firsts.v);
	free(m->orphaning.v);
	free(m->holding.v);
	free(m->lives.v);
	free(m->relocked.v);
}

static int row_cmp(const void *x, const void *y)
{
	const struct bs_verdict_row *a = x, *b = y;

	if (a->at_ns != b->at_ns)
		return a->at_ns < b->at_ns ? -1 : 1;
	if (a->verdict != b->verdict)
		return a->verdict < b->verdict ? -1 : 1;
	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return (a->at > b->at) - (a->at < b->at);
}

int bs_model_verdicts(const struct bs_model *m, struct bs_verdict_row **rows, size_t *n)
{
	*n = 0;
	*rows = NULL;
	if (!m->findings)
		return 0;
	*rows = malloc(HASH_COUNT(m->findings) * sizeof(**rows));
	if (!*rows)
		return -ENOMEM;
	for (const struct bs_finding *f = m->findings; f; f = f->hh.next) {
		struct bs_verdict_row *row = &(*rows)[(*n)++];

		*row = f->row;
		bs_pin_get(m, row->at, &row->at, &row->at_code);
		bs_pin_get(m, row->since, &row->since, &row->since_code);
	}
	qsort(*rows, *n, sizeof(**rows), row_cmp);
	return 0;
}

uint64_t bs_model_undecided(const struct bs_model *m)
{
	return m->undecided;
}
