/* SPDX-License-Identifier: GPL-2.0-only */
/* ties.h - who holds and who owns what; a part of state.h. */
#ifndef BS_MODEL_TIES_H
#define BS_MODEL_TIES_H

#include <stdbool.h>
#include <stdint.h>

#include <uthash.h>

struct bs_event;
struct bs_model;
struct bs_obj;
struct bs_proc;

/* A mark as evidence. */
struct bs_evidence {
	uint32_t place; /* with its caller, see pin.c */
	uint32_t tid;
	uint64_t ts_ns;
};

struct bs_key {
	uint64_t id;
	uint64_t klass; /* 64 bits: no padding between what is compared */
};

/* A borrow in force. */
struct bs_hold {
	uint64_t by;
	uint64_t number;	  /* of the older one it is less; stamps may be equal */
	struct bs_evidence since; /* its first level */
	uint32_t levels;
	uint32_t exclusive;	/* the first level that is, from 1; 0: none */
	uint32_t exclusive_tid; /* who began that, and when */
	uint64_t exclusive_ns;
	uint64_t changed_ns; /* a level began or ended last, by whom */
	uint32_t changed_tid;
	bool doubt;	 /* levels of several threads have no order: what is left? */
	bool dropped;	 /* what it is of was, then; after the holder, by another thread */
	uint32_t holder; /* class of the tracked object that `by` is; 0: of none */
	struct bs_evidence orphaned; /* the drop of that; place 0: lives */
};

/* What is known of an object besides: made by a borrow or a move, gone with its drop or new. */
struct bs_tie {
	struct bs_key key;
	struct bs_hold *holds; /* in no order */
	uint32_t nholds, cap;
	uint64_t made;		  /* holds, so far */
	uint32_t nexclusive;	  /* of these */
	struct bs_hold_at *index; /* by borrower; NULL: they are few */
	bool owned;
	uint64_t owner;
	struct bs_evidence moved;
	uint32_t owner_klass;	     /* of the tracked object that the owner is; 0: of none */
	struct bs_evidence orphaned; /* the drop of that; place 0: lives */
	UT_hash_handle hh;
};

/* A tracked object by whose id others are held or owned. */
struct bs_holder {
	struct bs_key key;
	struct bs_key *ties; /* may no longer be true */
	uint32_t n, cap;
	UT_hash_handle hh;
};

/* --- borrows in force (holds.c) --- */

/* NULL if there is none. */
struct bs_hold *bs_hold_find(const struct bs_tie *tie, uint64_t by);
/* A new one, not there before; all but `by` is 0.  NULL when out of memory. */
struct bs_hold *bs_hold_add(struct bs_tie *tie, uint64_t by);
/* Moves others. */
void bs_hold_remove(struct bs_tie *tie, struct bs_hold *hold);
/* Its level at hand is the first that is exclusive; none is any more. */
void bs_hold_exclude(struct bs_tie *tie, struct bs_hold *hold, const struct bs_event *ev);
void bs_hold_share(struct bs_tie *tie, struct bs_hold *hold);
/* The oldest borrow that is in force for certain, NULL if none is. */
const struct bs_hold *bs_tie_held(const struct bs_tie *tie);
void bs_holds_fini(struct bs_tie *tie);

/* --- who has something by its id (holders.c); ints: 0 or -ENOMEM --- */

/*
 * The class of the one object that is alive and has that id; 0: none, or more than one, or there
 * may be others: some are not followed, or a mark of any class may be missing.  ev: the mark at
 * hand.
 */
uint32_t bs_tracked(const struct bs_model *m, const struct bs_proc *p, const struct bs_event *ev,
		    uint64_t id);
/* The holder is asked for the tie when it is dropped. */
int bs_holder_add(struct bs_model *m, struct bs_proc *p, uint32_t klass, uint64_t id,
		  const struct bs_tie *tie);
/* This mark is of an object of that class, which borrows by it, or is given something. */
int bs_holder_says(struct bs_model *m, const struct bs_event *ev, uint32_t klass);
/* An object that was known is being dropped, and is alive still: what it held, and what was its
 * own. */
int bs_ties_holder_gone(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev);
/*
 * An object has that id from now on: by clocks that differ it had it before one was dropped, or
 * borrowed.
 */
void bs_ties_joined(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev);
/* It is being resized: what it will be called, and so whether it has those still, is not known. */
void bs_ties_holder_moves(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev);
void bs_holders_fini(struct bs_proc *p);

/* --- ties (ties.c); ints: 0 or -ENOMEM --- */

/* NULL if there is none. */
struct bs_tie *bs_tie_search(struct bs_proc *p, uint32_t klass, uint64_t id);
/* Its borrows and its owner are over. */
void bs_tie_remove(struct bs_model *m, struct bs_proc *p, uint32_t klass, uint64_t id);
/* Another object gets its id by this mark: who has just borrowed that, may have borrowed this one.
 */
int bs_tie_followed(struct bs_model *m, const struct bs_tie *tie, const struct bs_event *ev);
/* The same of the object before, whose id another one has from this mark on. */
int bs_tie_over(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev);
/* Its object is dropped: nobody owns it, and borrows in force remain until they end, or a new. */
int bs_tie_drop(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev);
/* Taken out while the object has no id, NULL if there is none; and put back under its new one. */
struct bs_tie *bs_tie_detach(struct bs_model *m, struct bs_proc *p, uint32_t klass, uint64_t id);
int bs_tie_attach(struct bs_model *m, struct bs_proc *p, struct bs_tie *tie, uint64_t id);
void bs_tie_free(struct bs_tie *tie);
/* sure: it was this object that was moved, and not the one before. */
int bs_tie_move(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev, bool sure);
/* It may have been moved: who owns it is not known, nor whether who was dropped did. */
static inline void bs_tie_disown(struct bs_tie *tie)
{
	tie->owned = false;
	tie->orphaned = (struct bs_evidence){0};
}
/* Its id is about to be another's: of which of them have others just borrowed? */
void bs_tie_doubt(struct bs_tie *tie, const struct bs_event *ev);
/* Its object goes by that id from this mark on: has a borrow been ended under that name already? */
void bs_tie_renamed(const struct bs_model *m, struct bs_tie *tie, const struct bs_event *ev);
/* The end of a borrow by that one may have been of this object, and was taken for another's. */
void bs_hold_doubt(struct bs_tie *tie, const struct bs_event *ev);
/* sure: it is this object that is borrowed, and not the one before. */
int bs_tie_borrow(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev, bool exclusive,
		  bool sure);
/* 1, 0 if no such borrow is in force, or -ENOMEM. */
int bs_tie_unborrow(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev);
/* Of a borrow that may come still, after its end. */
void bs_borrow_ended(struct bs_model *m, const struct bs_event *ev);
int bs_hold_end(struct bs_model *m, const struct bs_proc *p, struct bs_tie *tie,
		const struct bs_event *ev);
/* obj: what is known of it, alive or dead; NULL: nothing. */
int bs_tie_use(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev,
	       const struct bs_obj *obj);
/* A thread has ended in the middle of what it did: of what it had dropped nothing is concluded. */
int bs_ties_killed(struct bs_proc *p, uint32_t tid);
/* The process ends, or tracing does, when only who has been an orphan for a while counts. */
int bs_ties_end(struct bs_model *m, struct bs_proc *p, uint64_t ts_ns, uint64_t grace_ns);
void bs_ties_fini(struct bs_model *m, struct bs_proc *p);

#endif
