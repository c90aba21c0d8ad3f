/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tried.c - drops of which only the attempt shows whether there was anything (BS_EVENT_TRIES): a
 * mark before it, and a second one of the same thread where nothing was there.
 *
 * The first of them, on what is dead already, proves nothing: it may have come back unseen.  With
 * the second it is proven that it had not, and the object was dropped twice.
 *
 * That may be right all the same: a program that closes all numbers there are closes many that are
 * not open.  Who drops what never was, or neighbours one after the other, sweeps; nothing that is
 * dropped there is held against it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/state.h"

#define SWEEPERS_MAX 1024u

static struct bs_tried *tried_find(struct bs_model *m, const struct bs_event *ev)
{
	for (uint32_t i = 0; i < BS_TRIED_MAX; i++)
		if (m->tried[i].pid == ev->pid && m->tried[i].tid == ev->tid &&
		    m->tried[i].key.klass)
			return &m->tried[i];
	return NULL;
}

void bs_tried_drop(struct bs_model *m, const struct bs_event *ev, const struct bs_obj *obj)
{
	bool alive = obj && !(obj->flags & BS_OBJ_DEAD);
	struct bs_tried *t = tried_find(m, ev);

	if (alive) {
		if (t)
			t->key.klass = 0;
		return;
	}
	if (!t)
		t = &m->tried[m->tried_at++ % BS_TRIED_MAX];
	*t = (struct bs_tried){.pid = ev->pid, .tid = ev->tid, .key = bs_key_of(ev), .known = obj};
	if (!obj)
		return;
	t->proves = obj->flags & BS_OBJ_WHOLE && !(obj->flags & BS_OBJ_DOUBT);
	t->death = bs_death_of(obj);
}

static bool sweeps(const struct bs_model *m, uint32_t klass, uint32_t code)
{
	for (uint32_t i = 0; i < m->nsweepers; i++)
		if (m->sweepers[i].klass == klass && m->sweepers[i].code == code)
			return true;
	return false;
}

static int sweeper_add(struct bs_model *m, const struct bs_event *ev)
{
	if (sweeps(m, ev->klass_id, ev->code))
		return 0;
	if (m->nsweepers % 16 == 0) {
		struct bs_sweeper *v =
			reallocarray(m->sweepers, m->nsweepers + 16, sizeof(*m->sweepers));

		if (!v)
			return -ENOMEM;
		m->sweepers = v;
	}
	/* Too many to tell them apart: then all are. */
	if (m->nsweepers < SWEEPERS_MAX)
		m->sweepers[m->nsweepers++] = (struct bs_sweeper){ev->klass_id, ev->code};
	return 0;
}

int bs_tried_vain(struct bs_model *m, const struct bs_event *ev, bool known)
{
	struct bs_vain last = m->vain;
	struct bs_tried *t = tried_find(m, ev), tried = {0};
	bool neighbour = last.pid == ev->pid && last.tid == ev->tid && last.code == ev->code &&
			 (ev->id == last.id + 1 || ev->id + 1 == last.id);
	int err = 0;

	m->vain = (struct bs_vain){ev->pid, ev->tid, ev->code, ev->id};
	if (t && t->key.id == ev->id && t->key.klass == ev->klass_id) {
		tried = *t;
		t->key.klass = 0;
	}
	/* What is known though nobody tried: it died by the mark before, or lives again by now. */
	if (neighbour || (!tried.known && (tried.key.klass || !known)))
		err = sweeper_add(m, ev);
	if (err || !tried.proves)
		return err;
	return bs_suspect(m, BS_VERDICT_DOUBLE_DROP, ev, tried.key, tried.death, tried.death.ts_ns,
			  0, 0);
}

void bs_tried_end(struct bs_model *m)
{
	struct bs_finding *f, *next;

	if (!m->nsweepers)
		return;
	HASH_ITER (hh, m->findings, f, next) {
		uint32_t place, code;

		bs_pin_get(m, f->key.at, &place, &code);
		if (f->key.verdict != BS_VERDICT_DOUBLE_DROP ||
		    (m->nsweepers < SWEEPERS_MAX && !sweeps(m, f->key.klass, code)))
			continue;
		m->undecided += f->row.count;
		HASH_DEL(m->findings, f);
		free(f);
	}
}
