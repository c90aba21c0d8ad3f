/* SPDX-License-Identifier: GPL-2.0-only */
/* lockorder.h - who holds which locks (lockorder.c), and what comes of their order (lockcycle.c).
 */
#ifndef BS_MODEL_LOCKORDER_H
#define BS_MODEL_LOCKORDER_H

#include "model/state.h"

#define BS_LOCK_HELD_MAX 16u /* locks that a thread holds; of more nothing is concluded */

struct bs_lock_held {
	struct bs_key key;
	struct bs_evidence since;
	uint64_t level_ns; /* its last level began */
	uint64_t taken_ns; /* somebody else has it, or it is no more, since then; 0: not */
	uint32_t levels;
	bool exclusive;
	bool doubt; /* or somebody else has it, who took it at the same moment */
	bool again; /* got again then, or one level more: since when is not known */
};

#define BS_LOCK_FORGOTTEN 65536u /* threads of which may be said so apart */

struct bs_lock_thread {
	uint32_t tid, n;
	struct bs_lock_held held[BS_LOCK_HELD_MAX]; /* oldest first */
	bool forgotten;				    /* perhaps, while it held some */
	bool more;   /* than there is room for; until it holds nothing */
	bool waited; /* for a lock, while it held another; perhaps */
	UT_hash_handle hh;
};

static inline bool bs_key_same(const struct bs_key *a, const struct bs_key *b)
{
	return a->id == b->id && a->klass == b->klass;
}

/* The thread has waited for a lock, while it held others.  0 or -ENOMEM. */
int bs_lockcycle_waits(struct bs_model *m, struct bs_proc *p, const struct bs_lock_thread *t,
		       const struct bs_event *ev);
/* The thread has held a lock that nobody saw it take: what it waited for proves nothing. */
void bs_lockcycle_thread(struct bs_proc *p, uint32_t tid);
/*
 * Another lock has that address from this mark on, or none.  By clocks that differ a mark of the
 * last moment was of the other one, and what was found by it proves nothing; nor does one of the
 * next moment.  0 or -ENOMEM.
 */
int bs_lockcycle_begins(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev);
/* What is known of all locks of a process; of all. */
void bs_lockcycle_fini(struct bs_model *m, struct bs_proc *p);
void bs_lockcycle_free(struct bs_model *m);

#endif
