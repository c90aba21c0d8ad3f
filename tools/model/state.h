/* SPDX-License-Identifier: GPL-2.0-only */
/* state.h - what a model holds; shared by the files of tools/model and by nobody else. */
#ifndef BS_MODEL_STATE_H
#define BS_MODEL_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uthash.h>

#include "base/sample.h"
#include "model/estimate.h"
#include "model/growth.h"
#include "model/hist.h"
#include "model/model.h"
#include "model/objects.h"
#include "model/ties.h"

/* Places and classes are dense numbers; greater ones than this are not from a site table. */
#define BS_MODEL_MAX_DENSE ((1u << 24) - 1)

/* Resizes of one process that have begun and not ended. */
#define BS_MODEL_MAX_PENDING 1024u

/* Rows of exited processes; what comes on top is added up without the pid. */
#define BS_MODEL_MAX_EXITS (1u << 17)

/*
 * What an owner had are its orphans when tracing ends, or its thread is ended, if it was dropped so
 * long ago.
 */
#define BS_ORPHAN_NS 1000000000ull

/* With sampling, counts in series are in 1/16: weights of objects need not be whole numbers. */
#define BS_SERIES_UNIT 16

/* Some of the strata in which objects begin. */
struct bs_strata {
	uint64_t bits[4];
};

/* With sampling: what was alive when its process ended, by weight. */
struct bs_left {
	struct bs_sampled count, bytes;
	double top; /* for so many bytes stands one of them, at most */
};

/* Of one process and one origin. */
struct bs_exit {
	uint32_t pid, origin;
	uint64_t count, bytes;
	struct bs_left *left; /* NULL without sampling */
};

/* With sampling: what was made and dropped of an origin, by weight, and in which strata. */
struct bs_origin_sample {
	struct bs_sampled created, dropped;
	struct bs_left going, exited; /* as bs_origin has them in counts */
	struct bs_strata strata;
	double vanished, vanished_bytes; /* by weight: what became of them is not known */
	double anew, anew_bytes;	 /* likewise, by a resize: others stand for them, mostly */
};

/* A site where objects begin. */
struct bs_births {
	uint32_t klass, place;
	uint32_t next; /* of the same place, from 1; 0: none */
	uint8_t stratum;
	bool caller; /* which has a part in the stratum */
};

/* Where objects come from: (class, place, caller). */
struct bs_origin {
	uint32_t klass, place, code;
	uint64_t created, dropped, live, live_bytes;
	struct bs_series series;
	struct bs_hist *lifetime;	 /* made at the first drop */
	double lifetime_ns;		 /* in sum */
	struct bs_origin_sample *sample; /* NULL without sampling */
	/* Left alive by processes that have gone: rows without a pid, see BS_MODEL_MAX_EXITS. */
	uint64_t exit_count, exit_bytes;
	/* Left alive by the process that is going now. */
	uint64_t going_count, going_bytes;
	int64_t going_series_bytes, going_series_count;
};

struct bs_origin_key {
	uint64_t at; /* bs_origin_at */
	uint32_t klass;
	uint32_t origin; /* from 1; 0: none */
};

struct bs_origins {
	struct bs_origin *v;
	uint32_t n, cap;
	struct bs_origin_key *index; /* 2^(64 - shift) by hash; NULL: there are no origins */
	uint8_t shift;
};

struct bs_class {
	uint64_t unknown;
	struct bs_series unknown_drops; /* in count */
	bool has_new;			/* its objects say when they begin */
	uint64_t gap_ns;		/* marks up to here may be missing */
	uint64_t lit_gap_ns;		/* the same, but for what is dark just now */
	uint32_t tid;			/* whose marks they are, with coarse stamps; 0: none yet */
	bool shared;			/* of several threads: see coarse.c */
	unsigned dark;			/* how often it went dark and was not lit again */
	size_t nties;			/* in all processes */
	bool locks;			/* some of its borrows wait until it is free */
	bool numbers;			/* its ids are numbers that each process has for itself */
	bool missed;			/* objects began of which nothing was seen */
};

/* An object between the begin and the end of its resize: it exists, under no id. */
struct bs_pending {
	uint32_t tid;
	bool known;
	struct bs_obj obj; /* id and klass alone when not known */
	uint64_t begin_ns;
	bool replaced;	    /* its id is another object's by now */
	struct bs_tie *tie; /* then; else it is where it was */
};

/* --- regions that are open (regions.c) --- */

struct bs_birth {
	struct bs_key key;
	struct bs_evidence at; /* place 0: others came to that id, or left it, at the same time */
};

struct bs_region {
	struct bs_key key;
	uint64_t entered_ns;	 /* 0: whether it is open still, nobody knows */
	struct bs_birth *births; /* of objects that may be alive still */
	uint32_t n, cap, prune_at;
};

struct bs_region_thread {
	uint32_t tid, n, cap;
	struct bs_region *v; /* in the order in which they were entered */
	UT_hash_handle hh;
};

struct bs_proc {
	struct bs_proc *next; /* in its bucket */
	uint32_t pid;
	uint64_t heard_ns; /* when its program began, if it was heard from then on; else 0 */
	uint32_t npending, pending_cap;
	struct bs_pending *pending; /* oldest first */
	struct bs_objects objects;
	struct bs_tie *ties;
	uint32_t ties_max; /* with so many, those without anything go */
	struct bs_holder *holders;
	uint32_t *killed; /* threads, in the middle of anything; since its program began */
	uint32_t nkilled, killed_cap;
	struct bs_region_thread *region_threads; /* that are in regions, or were */
	uint32_t nregions, region_threads_max;	 /* with so many, those that were go */
	struct bs_lock_thread *lock_threads;	 /* that hold locks, or did */
	uint8_t *lock_forgotten;		 /* bits: threads that held some then; NULL: none */
	uint32_t lock_threads_max;		 /* with so many, those that need not stay go */
	struct bs_lock *locks; /* held while another was waited for, or waited for */
	struct bs_lock_edge *lock_edges;
};

/* --- findings (verdict.c) --- */

/* Waits for a mark of another thread that could explain it. */
struct bs_suspect {
	struct bs_verdict_row row;
	struct bs_key key;  /* the object whose marks could explain it */
	uint64_t by, other; /* of borrows and uses */
	uint32_t other_tid; /* since when that was in the way */
	uint64_t other_ns;
	uint64_t after_ns; /* evidence begins here */
	/* Of a borrow that outlived: the end that proves it, or may be that of the next one. */
	uint32_t end_tid;
	uint64_t end_ns; /* 0: none has come */
};

/* Marks of the last moment that one of another thread may give another meaning. */
struct bs_moment {
	struct bs_key key;
	uint32_t pid, tid;
	uint64_t ts_ns;
	uint64_t to; /* of a resize: its id now; of a new: BS_TWIN_VANISHED, or 0 */
};
/* The one that had the id was alive, and has been taken for gone; else its drop had come. */
#define BS_TWIN_VANISHED 1u

struct bs_recent {
	struct bs_moment *v;	/* oldest first */
	uint32_t begin, n, cap; /* v[begin..n-1] */
	uint64_t latest_ns;	/* of all that ever was in it */
};
static inline bool bs_recent_none(const struct bs_recent *r)
{
	return r->begin == r->n;
}
/* The longest that anybody looks back. */
#define BS_RECENT_NS (2 * BS_MODEL_SKEW_NS)
/* All that is in it is too long ago for this mark. */
static inline bool bs_recent_over(const struct bs_recent *r, const struct bs_event *ev)
{
	return ev->ts_ns > r->latest_ns + BS_RECENT_NS;
}

/* The last end of a borrow, or of borrows that share a place in the table. */
#define BS_LAST_ENDS 1024u /* a power of two; within BS_MODEL_SKEW_NS there are some tens */
struct bs_last_end {
	uint64_t hash, ts_ns;
	uint32_t tid;
	bool several;	      /* of several borrows, without an order to each other */
	bool several_threads; /* likewise */
};

struct bs_finding {
	struct {
		uint32_t verdict, klass, at, since;
	} key;
	struct bs_verdict_row row;
	UT_hash_handle hh;
};

/* --- drops that are tried (tried.c) --- */

#define BS_TRIED_MAX 64u /* threads that are in the middle of one */

/* A drop of what is not known to live. */
struct bs_tried {
	uint32_t pid, tid;
	struct bs_key key; /* klass 0: none */
	bool known;	   /* dropped before; else never heard of */
	bool proves;	   /* of that one all was seen */
	struct bs_evidence death;
};

/* A caller that drops what is not there on purpose. */
struct bs_sweeper {
	uint32_t klass, code;
};

/* The last drop that found nothing. */
struct bs_vain {
	uint32_t pid, tid, code;
	uint64_t id;
};

/* --- vfork children (vfork.c) --- */

struct bs_vfork {
	uint32_t child;
	uint32_t pid, tid; /* whose memory it has, and the thread that waits for it */
};

/* What was followed of objects that began from then on. */
struct bs_rate {
	uint64_t since_ns;
	struct bs_sample sample;
};

struct bs_model {
	struct bs_clock clock;
	uint64_t coarse_ns; /* 0: stamps are precise */
	bool shared;	    /* coarse: some class has marks of several threads */
	bool several;	    /* coarse: or some other class has marks of another one than */
	uint32_t tid;	    /* the first */
	uint64_t seed[2];
	struct bs_model_totals totals;

	struct bs_origins origins;
	struct bs_class *classes; /* by klass_id */
	uint32_t nclasses;
	uint64_t *hits; /* by place */
	uint32_t nhits;

	struct bs_rate *rates; /* by time; none: all objects are followed */
	uint32_t nrates, rates_cap;
	struct bs_sample rarest; /* the greatest means that ever were */
	struct bs_births *births;
	uint32_t nbirths, births_cap;
	uint32_t *births_at; /* by place: the last one, from 1 */
	uint32_t nbirths_at;
	uint64_t followed[256]; /* births, by stratum */
	/*
	 * By bytes: the last resize of an object that was followed, which may be by the same mark
	 * no longer; and whether any was forgotten for another reason, such as a full table.
	 */
	struct bs_moment decided;
	bool broken;
	uint64_t block_places; /* as told by bs_model_blocks */

	struct bs_proc **buckets;
	uint32_t nbuckets, nprocesses; /* buckets: a power of two */
	struct bs_proc *recent;

	struct bs_exit *exits;
	size_t nexits, exits_cap;

	uint64_t loss_ns; /* marks up to here may have been lost */
	uint64_t undecided;
	bool has_regions;	     /* one was entered */
	bool explained;		     /* the mark at hand explains one before it */
	struct bs_suspect *suspects; /* oldest first */
	uint32_t nsuspects, suspects_cap;
	struct bs_finding *findings;
	struct bs_recent twins;	    /* news on objects that may be alive: a drop may come late */
	struct bs_recent marks;	    /* counts, moves: of the life before, or the next, perhaps */
	struct bs_recent fresh;	    /* news on ids that were others' a moment ago */
	struct bs_recent firsts;    /* news on ids that may have been others', unseen */
	struct bs_recent resized;   /* begins of resizes that have ended */
	struct bs_recent lives;	    /* with regions: whatever came to an id, or left it */
	struct bs_recent orphaning; /* drops of who had something: was it alone at its id? */
	struct bs_recent holding;   /* borrows by, moves to an object: was that alone at its id? */
	struct bs_recent relocked;  /* begins and ends of locks: which one was it that was held? */
	struct bs_last_end ends[BS_LAST_ENDS]; /* by a hash of whose borrow, of what */

	struct bs_pin *pins, **pin; /* by their keys, by number */
	uint32_t npins, pins_cap;

	struct bs_tried tried[BS_TRIED_MAX];
	uint32_t tried_at;
	struct bs_vain vain;
	struct bs_vfork *vforks; /* oldest first */
	uint32_t nvforks;
	struct bs_sweeper *sweepers;
	uint32_t nsweepers;

	bs_model_lasting_fn lasting;
	void *lasting_ctx;
	bs_model_caller_fn caller;
	void *caller_ctx;
	struct bs_cycle *cycles;
	uint64_t cycle_ns; /* when one was found last */
	struct bs_lock_use *lock_uses;
	size_t nlock_edges;   /* in all processes */
	uint32_t block_looks; /* how often objects were searched for what holds a lock */
};

/* Who called, where an event has this code. */
static inline uint32_t bs_model_caller(const struct bs_model *m, uint32_t code)
{
	return m->caller ? m->caller(m->caller_ctx, code) : code;
}

static inline uint64_t bs_origin_at(uint32_t place, uint32_t code)
{
	return (uint64_t)place << 32 | code;
}
/* For what is here alone: where in the index; looks from there on; adds one that is not there. */
static inline uint32_t bs_origin_hash(const struct bs_origins *o, uint32_t klass, uint64_t at)
{
	/* The high bits of the product, which depend on all that went in. */
	return (uint32_t)(((at + klass * 0xd6e8feb86659fd93ull) * 0x9e3779b97f4a7c15ull) >>
			  o->shift);
}
uint32_t bs_origin_search(const struct bs_origins *o, uint32_t klass, uint64_t at, uint32_t i);
uint32_t bs_origin_add(struct bs_origins *o, uint32_t klass, uint32_t place, uint32_t code);
/* The number of an origin, UINT32_MAX if it is not known. */
static inline uint32_t bs_origin_find(const struct bs_origins *o, uint32_t klass, uint32_t place,
				      uint32_t code)
{
	uint64_t at = bs_origin_at(place, code);
	const struct bs_origin_key *key;

	if (!o->index)
		return UINT32_MAX;
	key = &o->index[bs_origin_hash(o, klass, at)];
	/* Mostly it is where it belongs. */
	if (key->at == at && key->klass == klass)
		return key->origin - 1;
	return bs_origin_search(o, klass, at, (uint32_t)(key - o->index));
}
/* The number of an origin, made when new; UINT32_MAX when out of memory. */
static inline uint32_t bs_origin_intern(struct bs_origins *o, uint32_t klass, uint32_t place,
					uint32_t code)
{
	uint32_t known = bs_origin_find(o, klass, place, code);

	return known != UINT32_MAX ? known : bs_origin_add(o, klass, place, code);
}
void bs_origins_fini(struct bs_origins *o);

/* The process, made when new; NULL when out of memory. */
struct bs_proc *bs_proc_get(struct bs_model *m, uint32_t pid);
/* NULL if nothing is known of it. */
struct bs_proc *bs_proc_find(struct bs_model *m, uint32_t pid);
void bs_proc_forget(struct bs_model *m, struct bs_proc *p);
void bs_procs_fini(struct bs_model *m);

/*
 * The address space of a process has gone: what lived in it becomes rows of live_at_exit.
 * 0 or -ENOMEM; then the rows are short, the objects have gone all the same.
 */
int bs_proc_end(struct bs_model *m, struct bs_proc *p, uint64_t ts_ns);
/*
 * It has begun a program now, and each mark that is made from here on will come, or is told of as
 * a loss or as missing in its class.  0 or -ENOMEM.
 */
int bs_proc_heard(struct bs_model *m, uint32_t pid, uint64_t ts_ns);

/*
 * All of the following: 0 or -ENOMEM.
 */

/* NULL if there is none. */
static inline struct bs_tie *bs_tie_find(const struct bs_model *m, struct bs_proc *p,
					 uint32_t klass, uint64_t id)
{
	return m->classes[klass].nties ? bs_tie_search(p, klass, id) : NULL;
}
static inline void bs_ties_join(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev)
{
	if (!bs_recent_over(&m->orphaning, ev) || !bs_recent_over(&m->holding, ev))
		bs_ties_joined(m, p, ev);
}

/* The number of a place and a caller (0: none) as one; and back. */
uint32_t bs_pin_of(struct bs_model *m, uint32_t place, uint32_t code);
void bs_pin_get(const struct bs_model *m, uint32_t number, uint32_t *place, uint32_t *code);
void bs_pins_fini(struct bs_model *m);

static inline uint32_t bs_pin(struct bs_model *m, const struct bs_event *ev)
{
	return ev->code ? bs_pin_of(m, ev->place, ev->code) : ev->place;
}

static inline struct bs_evidence bs_evidence_of(struct bs_model *m, const struct bs_event *ev)
{
	return (struct bs_evidence){bs_pin(m, ev), ev->tid, ev->ts_ns};
}

/* A drop is tried of obj, which is dead or NULL if it is not known to live. */
void bs_tried_drop(struct bs_model *m, const struct bs_event *ev, const struct bs_obj *obj);
/* It has found nothing.  known: something is known of the object, dead or alive. */
int bs_tried_vain(struct bs_model *m, const struct bs_event *ev, bool known);
/* Takes back what was found of those who sweep. */
void bs_tried_end(struct bs_model *m);

/* --- vfork.c --- */

/* A fork whose child shares its parent's memory, until that ends or executes.  0 or -ENOMEM. */
int bs_vfork_begin(struct bs_model *m, const struct bs_event *ev);
/* The process has gone, or another program has come into it. */
void bs_vfork_end(struct bs_model *m, uint32_t pid);
/* The event with the pid and thread whose it is: ev itself, or in room. */
const struct bs_event *bs_vfork_mark(const struct bs_model *m, const struct bs_event *ev,
				     struct bs_event *room);
/* How a dead object died. */
struct bs_evidence bs_death_of(const struct bs_obj *dead);

/* A mark of a class of locks; before the ties learn of it. */
int bs_lockorder_mark(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev);
/* The process has gone; all has. */
void bs_lockorder_fini(struct bs_model *m, struct bs_proc *p);
void bs_lockorder_free(struct bs_model *m);

int bs_region_enter(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev);
int bs_region_exit(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev);
/*
 * Something comes to an id, or leaves it, before anything is made of that: births at that id from
 * which it has no order prove nothing.
 */
int bs_region_life(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev);
/* An object was made. */
int bs_region_birth(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev);
/* An object has another id now. */
int bs_region_rename(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev,
		     uint64_t from, uint64_t birth_ns);
void bs_regions_fini(struct bs_proc *p);

/*
 * ev is wrong since that mark; after_ns: the first mark that the proof needs (mostly since).  by,
 * other: whose marks could explain it.
 */
int bs_suspect(struct bs_model *m, enum bs_verdict verdict, const struct bs_event *ev,
	       struct bs_key object, struct bs_evidence since, uint64_t after_ns, uint64_t by,
	       uint64_t other);
/*
 * From when on all marks of an object must have been seen, to prove what is wrong since that mark:
 * also that it has not been dropped, of which others are proof.
 */
uint64_t bs_proof_ns(const struct bs_model *m, const struct bs_proc *p, struct bs_key object,
		     uint64_t since_ns);
/* A mark may explain what another thread's did a moment ago.  True if it did. */
bool bs_suspects_explain(struct bs_model *m, const struct bs_event *ev);
/* The end of one that was taken for gone: what looked wrong of that id a moment ago was said of it.
 */
void bs_suspects_void(struct bs_model *m, const struct bs_event *ev);
/* What was that long ago is found. */
int bs_suspects_decide(struct bs_model *m, uint64_t now_ns);
void bs_findings_fini(struct bs_model *m);
/* A mark that looks wrong, but need not be. */
static inline void bs_undecided(struct bs_model *m)
{
	m->undecided++;
}

/*
 * In `has`, the model's own, with coarse stamps: no mark of another thread gives it another
 * meaning. Its class is one thread's alone, whose marks are in order however close their stamps; or
 * it has no verdicts, and each object is counted in the order that came (coarse.c).
 */
#define BS_EVENT_IN_ORDER 0x80u

/* So close in time that nobody knows the order. */
static inline bool bs_no_order(const struct bs_event *ev, uint32_t tid, uint64_t ts_ns)
{
	return ev->tid != tid && !(ev->has & BS_EVENT_IN_ORDER) &&
	       (ev->ts_ns > ts_ns ? ev->ts_ns - ts_ns : ts_ns - ev->ts_ns) <= BS_MODEL_SKEW_NS;
}

/* --- what a mark does (lives.c, marks.c, resizes.c, recent.c) --- */

/* hash: bs_objects_hash of the event's object.  Ints: 0 or -ENOMEM. */
/* c: the event's class. */
int bs_object_new(struct bs_model *m, struct bs_proc *p, const struct bs_class *c,
		  const struct bs_event *ev, uint64_t hash);
int bs_object_drop(struct bs_model *m, struct bs_proc *p, const struct bs_class *c,
		   const struct bs_event *ev, uint64_t hash);
/* Marks that neither begin nor end a life. */
int bs_object_mark(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev, uint64_t hash);
/*
 * The object leaves the table: from here on the allocator may give its old id to another thread,
 * whose new is then no contradiction.  It stays alive meanwhile.
 */
int bs_resize_begin(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev,
		    uint64_t hash);
int bs_resize_end(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev, uint64_t hash);

/* --- coarse stamps (coarse.c) --- */

/* Called for each mark, where stamps are coarse. */
void bs_coarse_mark(struct bs_model *m, const struct bs_event *ev);
static inline bool bs_coarse_shared(const struct bs_model *m, uint32_t klass)
{
	return m->coarse_ns && m->classes[klass].shared;
}
/* A new on an id that is alive: the end of that one is on its way.  0 or -ENOMEM. */
int bs_coarse_replace(struct bs_model *m, struct bs_obj *obj, const struct bs_event *ev);
/* A drop: of one that was replaced?  Then that was all. */
bool bs_coarse_replaced(const struct bs_model *m, struct bs_obj *obj, const struct bs_event *ev);
/* An object begins at an id: has its end been before it?  1: then that is made good; or -ENOMEM. */
int bs_coarse_end_came(struct bs_model *m, struct bs_obj *dead, const struct bs_event *ev);
/* A new on an id that is dead: has its end been before it?  1: then that was all; or -ENOMEM. */
int bs_coarse_ended(struct bs_model *m, struct bs_obj *dead, const struct bs_event *ev,
		    uint32_t origin);

/* --- sampling (sampled.c) --- */

static inline bool bs_sampling(const struct bs_model *m)
{
	return m->nrates;
}

/* One was made, in this stratum (or dropped).  0 or -ENOMEM. */
int bs_sample_created(struct bs_model *m, const struct bs_obj *obj, uint8_t stratum);
int bs_sample_dropped(struct bs_model *m, const struct bs_obj *obj);
/* One is alive, and its process ends: it is among those that go.  0 or -ENOMEM. */
int bs_sample_going(struct bs_model *m, const struct bs_obj *obj);
void bs_left_merge(struct bs_left *to, const struct bs_left *from);
/* Series are of all objects, those that are not followed as well: this is what one stands for. */
int64_t bs_weighed_bytes(const struct bs_model *m, const struct bs_obj *obj);
int64_t bs_weighed_count(const struct bs_model *m, const struct bs_obj *obj);
static inline int64_t bs_series_bytes(const struct bs_model *m, const struct bs_obj *obj)
{
	return m->nrates ? bs_weighed_bytes(m, obj) : (int64_t)obj->bytes;
}
static inline int64_t bs_series_count(const struct bs_model *m, const struct bs_obj *obj)
{
	return m->nrates ? bs_weighed_count(m, obj) : 1;
}
/* A mark on an object that is not known, and not in a resize: of one that is not followed? */
static inline bool bs_unfollowed(const struct bs_model *m, const struct bs_proc *p)
{
	return m->nrates && !p->npending && bs_recent_none(&m->resized);
}

/* What is known of an origin with its live objects.  All 0 without sampling. */
struct bs_origin_sums {
	struct bs_sampled created, dropped, live, live_bytes;
	/* Of what came to life since the start: variance of its live bytes and count. */
	double fresh_var_bytes, fresh_var_count;
	struct bs_strata strata;			   /* where there may be births of it */
	double vanished, vanished_bytes, anew, anew_bytes; /* see bs_origin_sample */
	double top;  /* for so many bytes stands an object of those that live, at most */
	bool missed; /* objects began of which nothing was seen */
};
/* One per origin (at least one), to be freed; NULL when out of memory.  Live: of at least that age.
 */
struct bs_origin_sums *bs_sums_new(const struct bs_model *m, uint64_t min_age_ns);
/* What is known of an origin but for its live objects; and of those of one that exited. */
void bs_sums_of_origin(const struct bs_model *m, struct bs_origin_sums *sums, uint32_t origin);
void bs_sums_left(struct bs_origin_sums *sums, const struct bs_left *left);
void bs_sums_merge(struct bs_origin_sums *to, const struct bs_origin_sums *from);
/* They are all of a class (0: of all): births that were not seen may be wherever it has some. */
void bs_sums_of_class(const struct bs_model *m, struct bs_origin_sums *sums, uint32_t klass);
struct bs_estimate bs_sums_estimate(const struct bs_model *m, const struct bs_origin_sums *sums);
/* An object is not followed any more: nothing is known of it from here on.  0 or -ENOMEM. */
int bs_object_forgotten(struct bs_model *m, const struct bs_event *ev, uint64_t hash);

/* An object joins (sign 1) or leaves (-1) what is alive of its origin g.  0 or -ENOMEM. */
static inline int bs_origin_change(struct bs_model *m, struct bs_origin *g,
				   const struct bs_obj *obj, int sign, uint64_t ts_ns)
{
	int64_t bytes = sign * (int64_t)obj->bytes;
	int err = bs_series_add(&g->series, &m->clock, ts_ns, sign * bs_series_bytes(m, obj),
				sign * bs_series_count(m, obj));

	if (err)
		return err;
	g->live += (uint64_t)(int64_t)sign;
	g->live_bytes += (uint64_t)bytes;
	m->totals.live += (uint64_t)(int64_t)sign;
	m->totals.live_bytes += (uint64_t)bytes;
	return 0;
}
static inline int bs_live_change(struct bs_model *m, const struct bs_obj *obj, int sign,
				 uint64_t ts_ns)
{
	return bs_origin_change(m, &m->origins.v[obj->origin], obj, sign, ts_ns);
}
/* Forgets those too old to matter.  to: of a resize, the id that it led to. */
int bs_recent_add(struct bs_recent *r, const struct bs_event *ev, uint64_t to);

/* Are all marks of the class since then known? */
static inline bool bs_seen_since(const struct bs_model *m, const struct bs_class *c, uint64_t ts_ns)
{
	return ts_ns > m->loss_ns && ts_ns > c->gap_ns;
}

/*
 * The slot for an object that now holds ev->id.  One that is still there under this id has gone
 * without our seeing it.
 */
struct bs_obj *bs_take_over(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev,
			    uint64_t hash, struct bs_obj *obj, bool found);
static inline struct bs_obj *bs_take_id(struct bs_model *m, struct bs_proc *p,
					const struct bs_class *c, const struct bs_event *ev,
					uint64_t hash)
{
	bool found;
	struct bs_obj *obj = bs_objects_put(&p->objects, hash, ev->klass_id, ev->id, &found);

	bs_ties_join(m, p, ev);
	/* Another one may have had it that nobody has seen. */
	if (obj && (!found || !bs_seen_since(m, c, obj->birth_ns)) &&
	    bs_recent_add(&m->firsts, ev, 0))
		return NULL;
	/* Mostly nobody had it before. */
	if (obj && (found || p->npending || c->nties))
		return bs_take_over(m, p, ev, hash, obj, found);
	return obj;
}
int bs_object_gone(struct bs_model *m, const struct bs_obj *obj, uint64_t ts_ns);
/* The end of an object that is not known; dead: what was known of the one that had the id before.
 */
int bs_unknown_end(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev, uint64_t hash,
		   struct bs_obj *dead);
/* Nothing known is there now, but something may be: as dead, in doubt. */
int bs_leave_doubt(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev, uint64_t hash);
int bs_mark_after_drop(struct bs_model *m, const struct bs_event *ev, const struct bs_obj *dead);
/* A mark on an object that is not known. */
void bs_mark_unknown(struct bs_model *m, uint32_t klass);
static inline uint64_t bs_clamp_bytes(uint64_t bytes)
{
	return bytes < BS_OBJ_MAX_BYTES ? bytes : BS_OBJ_MAX_BYTES;
}

/* The object whose resize has begun under that id, by whomever; NULL if there is none. */
struct bs_pending *bs_pending_search(const struct bs_proc *p, const struct bs_event *ev);
static inline struct bs_pending *bs_pending_of(const struct bs_proc *p, const struct bs_event *ev)
{
	return p->npending ? bs_pending_search(p, ev) : NULL;
}
/* The id of one in its resize is another object's from now on. */
void bs_pending_replaced(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev);
static inline void bs_pending_replace(struct bs_model *m, struct bs_proc *p,
				      const struct bs_event *ev)
{
	if (p->npending)
		bs_pending_replaced(m, p, ev);
}
void bs_pending_remove(struct bs_proc *p, uint32_t i);
/*
 * The resize that this thread has begun in this class: the one of this id if there is one (the
 * object has not moved), else the one begun last.  UINT32_MAX if none.
 */
uint32_t bs_pending_find(const struct bs_model *m, const struct bs_proc *p,
			 const struct bs_event *ev, bool id_only);

/* For bs_recent_find and bs_recent_any. */
struct bs_moment *bs_recent_search(const struct bs_recent *r, const struct bs_event *ev);
bool bs_recent_search_any(const struct bs_recent *r, const struct bs_event *ev, uint64_t ns);
/* One on the same object that has no order with this mark; NULL if there is none. */
static inline struct bs_moment *bs_recent_find(const struct bs_recent *r, const struct bs_event *ev)
{
	return bs_recent_over(r, ev) ? NULL : bs_recent_search(r, ev);
}
/* One on the same object, of any thread, not longer ago; ns: at most BS_RECENT_NS. */
static inline bool bs_recent_any(const struct bs_recent *r, const struct bs_event *ev, uint64_t ns)
{
	return !bs_recent_over(r, ev) && bs_recent_search_any(r, ev, ns);
}
/* Takes out the one that bs_recent_find would find; false if there is none. */
bool bs_recent_take(struct bs_recent *r, const struct bs_event *ev);

/* Had another object that id a moment ago, before its resize? */
static inline bool bs_resized_from(const struct bs_model *m, const struct bs_proc *p,
				   const struct bs_event *ev)
{
	const struct bs_pending *e = bs_pending_of(p, ev);

	return !(ev->has & BS_EVENT_IN_ORDER) &&
	       ((e && ev->ts_ns - e->begin_ns <= 2 * BS_MODEL_SKEW_NS) ||
		bs_recent_any(&m->resized, ev, 2 * BS_MODEL_SKEW_NS));
}

/* May it have its id since a moment ago?  Of one that was resized nobody knows since when. */
static inline bool bs_fresh_at_its_id(const struct bs_obj *obj, const struct bs_event *ev)
{
	return obj->resized || ev->ts_ns <= obj->birth_ns + BS_MODEL_SKEW_NS;
}

/*
 * An object had that id until its resize, which is over, a moment ago; or what is said of that id
 * is said of it, and another was resized: so it is in doubt.  False: there is none, or it is dead.
 */
bool bs_resized_doubt(struct bs_model *m, struct bs_proc *p, const struct bs_event *ev);

/* The object that had that id until its resize, which is over, a moment ago; NULL if none. */
struct bs_obj *bs_resized_to(const struct bs_model *m, const struct bs_proc *p,
			     const struct bs_event *ev);

/*
 * Was it another one than this, which was known, that was resized, and whose new is to come?  NULL:
 * none was.  Or has this one come to the id after that?
 */
static inline bool bs_may_be_the_next(const struct bs_model *m, const struct bs_obj *obj,
				      const struct bs_event *ev)
{
	return !obj || obj->flags & (BS_OBJ_ADOPTED | BS_OBJ_DOUBT | BS_OBJ_DEAD) ||
	       bs_fresh_at_its_id(obj, ev) ||
	       !bs_seen_since(m, &m->classes[obj->klass], obj->birth_ns);
}

/* Has one been resized a moment ago whose new may be this? */
static inline bool bs_resized_before(const struct bs_model *m, const struct bs_proc *p,
				     const struct bs_event *ev)
{
	return bs_recent_find(&m->resized, ev) &&
	       bs_may_be_the_next(m, bs_resized_to(m, p, ev), ev);
}

/*
 * Has a resize begun a moment ago of what was not known under that id, or not for certain?  Perhaps
 * it was this.
 */
static inline bool bs_resized_already(const struct bs_model *m, const struct bs_proc *p,
				      const struct bs_event *ev)
{
	const struct bs_pending *e = bs_pending_of(p, ev);

	return e && (!e->known || bs_may_be_the_next(m, &e->obj, ev)) &&
	       bs_no_order(ev, e->tid, e->begin_ns);
}

static inline struct bs_key bs_key_of(const struct bs_event *ev)
{
	return (struct bs_key){.id = ev->id, .klass = ev->klass_id};
}
/* Secret, so that nobody can choose ids that collide; and faster than that of uthash. */
static inline unsigned bs_key_hash(const struct bs_proc *p, const struct bs_key *key)
{
	return (unsigned)bs_objects_hash(p->objects.seed, (uint32_t)key->klass, key->id);
}

#endif
