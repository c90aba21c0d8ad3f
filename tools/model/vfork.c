/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vfork.c - whose marks are those of a vfork child.
 *
 * Until it ends or executes another program it runs in its parent's memory, and the thread that
 * made it stands still.  What it does to objects in memory it does to its parent's: it frees what
 * its parent has allocated, and what it leaves its parent frees.  But its descriptors are its own.
 *
 * Lit by traps its marks have its own pid: those on memory get its parent's here.  Lit by jumps it
 * writes into its parent's buffer, and all have its parent's pid; those on descriptors stay there,
 * wrongly, for nobody tells when the parent goes on: that is some time before the exec is seen.
 */
#include <errno.h>
#include <stdlib.h>

#include "model/state.h"

/* Each keeps a thread waiting.  Of more nothing is put right. */
#define VFORKS_MAX 256u

static const struct bs_vfork *vfork_of(const struct bs_model *m, uint32_t child)
{
	for (uint32_t i = 0; i < m->nvforks; i++)
		if (m->vforks[i].child == child)
			return &m->vforks[i];
	return NULL;
}

int bs_vfork_begin(struct bs_model *m, const struct bs_event *ev)
{
	const struct bs_vfork *parent = vfork_of(m, ev->pid);
	struct bs_vfork v = {(uint32_t)ev->arg, ev->pid, ev->tid};

	if (parent) {
		v.pid = parent->pid;
		v.tid = parent->tid;
	}
	if (m->nvforks == VFORKS_MAX)
		return 0;
	if (!m->vforks)
		m->vforks = malloc(VFORKS_MAX * sizeof(*m->vforks));
	if (!m->vforks)
		return -ENOMEM;
	m->vforks[m->nvforks++] = v;
	return 0;
}

void bs_vfork_end(struct bs_model *m, uint32_t pid)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->nvforks; i++)
		if (m->vforks[i].child != pid && m->vforks[i].pid != pid)
			m->vforks[n++] = m->vforks[i];
	m->nvforks = n;
}

const struct bs_event *bs_vfork_mark(const struct bs_model *m, const struct bs_event *ev,
				     struct bs_event *room)
{
	const struct bs_vfork *v = vfork_of(m, ev->pid);

	if (!v)
		return ev;
	/* What is followed is a matter of the memory, whatever it is. */
	if (ev->type == BS_EVENT_MARK && ev->klass_id < m->nclasses &&
	    m->classes[ev->klass_id].numbers)
		return ev;
	*room = *ev;
	room->pid = v->pid;
	room->tid = v->tid;
	return room;
}
