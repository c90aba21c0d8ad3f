/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * model.h - who owns what: objects, bytes, lifetimes and growth, from decoded events in order.
 *
 * No libbpf, no printing, no global state: a test, a recording or a running process can drive
 * it.  Not thread-safe.  Time is only what events and bs_model_tick say.
 *
 * An object is (pid, class, id, generation).  Objects that were there before the attach are
 * unknown: a mark on one is counted, never held against anybody.
 *
 * The rules:
 *   - new on an id that is alive: the end of the earlier object was not seen; it goes, unknown.
 *   - resize_begin and resize_end are pairs of one thread and class: the end closes the begin of
 *     the same id if there is one, else the last.  The object keeps birth and origin; with
 *     sampling by bytes, which chooses anew, its origin is the resize.
 *   - A resize of an unknown object makes it known (once in `unknown` for the pair): it lives from
 *     then on, under the place and caller of the resize_end.  The bytes it had are alive but no
 *     growth, and its lifetime is nobody's knowledge and not in the histograms.
 *   - region_enter and region_exit make no object and need none: they are never unknown.
 *   - fork: the child starts with nothing; what it inherited is unknown in it.
 *   - vfork: until it executes or exits, what the child does to objects it does to its parent's,
 * but for those of classes of numbers (bs_model_numbers), which are its own.
 *   - exec and exit: what the process owned leaves live and becomes rows of at_exit.
 *   - with sampling: of objects that are not followed there are no marks, and a mark on an object
 *     that is not known is of one of these.  What is followed stands for others, too: estimates.
 */
#ifndef BS_MODEL_MODEL_H
#define BS_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decode/decode.h"
#include "model/estimate.h"

struct bs_model;
struct bs_sample;

/* Does what is at that address last as long as the process?  As static variables do. */
typedef bool (*bs_model_lasting_fn)(void *ctx, uint32_t pid, uint64_t addr);

typedef uint32_t (*bs_model_caller_fn)(void *ctx, uint32_t code);

struct bs_model_opts {
	uint64_t start_ns; /* CLOCK_MONOTONIC when the first site was lit */
	/*
	 * 0, or: stamps are coarse, at most so much before their events.  Marks of one thread are
	 * in order; between threads there is none that proves anything, so only classes all of
	 * whose marks are one thread's have verdicts.
	 */
	uint64_t coarse_ns;
	bs_model_lasting_fn lasting; /* of locks; NULL: nothing does */
	void *lasting_ctx;
	/*
	 * Where objects begin an event's code may stand for more than a caller, such as a stack:
	 * who the caller is.  Rows and verdicts go by callers; bs_model_stacks goes by codes. NULL:
	 * a code is a caller.
	 */
	bs_model_caller_fn caller;
	void *caller_ctx;
};

struct bs_model *bs_model_new(const struct bs_model_opts *opts);
void bs_model_free(struct bs_model *m);

/*
 * One event.  ts_ns may step back a little (late events).  0, -ENOMEM, or -EINVAL: an event that
 * bs_decode does not make (not counted anywhere).
 */
int bs_model_event(struct bs_model *m, const struct bs_event *ev);

/*
 * Events one after the other, the same and faster: what memory they need is fetched ahead.  The
 * first that fails ends it, and those behind it are not taken.
 */
int bs_model_events(struct bs_model *m, const struct bs_event *v, size_t n);

/*
 * Objects that began from ts_ns on (CLOCK_MONOTONIC, not before the last call's) were chosen like
 * this.  Called before the first event, or never: all objects are followed.  0 or -ENOMEM.
 */
int bs_model_sample(struct bs_model *m, uint64_t ts_ns, const struct bs_sample *sample);

/*
 * Objects of the class begin at a site of this place, with this number (bs_sites_get); caller: it
 * says who called.  Called before the first event of that site.  0, -ENOMEM or -EINVAL.
 */
int bs_model_births(struct bs_model *m, uint32_t klass_id, uint32_t place, uint32_t site,
		    bool caller);

/*
 * Where exactly one of each N births is followed: at so many places, each with its own blocks,
 * objects have begun so far.  0, as if it was never called: nobody knows, or what was followed may
 * be missing.  With it the intervals of counts are narrower, as long as nothing was lost.
 */
void bs_model_blocks(struct bs_model *m, uint64_t places);

/*
 * Time has come to now_ns: all events up to it were given.  Drives the growth series when
 * nothing happens; call about ten times a second and at the end.
 */
int bs_model_tick(struct bs_model *m, uint64_t now_ns);

/*
 * So many marks were lost up to ts_ns, nobody knows whose.  What losses could explain is from
 * then on unknown: with totals.lost > 0 live objects may have been dropped, and live and growth are
 * upper bounds as far as drops were lost, lower ones as far as news were.
 */
void bs_model_loss(struct bs_model *m, uint64_t ts_ns, uint64_t count);

/*
 * Every object is somewhere: created + adopted = dropped + vanished + live + exited.
 */
struct bs_model_totals {
	uint64_t created; /* new marks */
	uint64_t dropped; /* drops of objects whose new was seen (or which a resize made known) */
	uint64_t live;	  /* known objects alive now */
	uint64_t live_bytes;
	uint64_t adopted;   /* from before the attach, made known by a resize */
	uint64_t vanished;  /* known, but their end was not seen */
	uint64_t exited;    /* alive when their process exited or executed another program */
	uint64_t unknown;   /* marks on objects that were not known when the mark came, plus
			       objects whose end was not seen (a second new on the same id) */
	uint64_t marks[16]; /* by enum bscope_kind */
	uint64_t lost;	    /* as told by bs_model_loss */
};
void bs_model_totals(const struct bs_model *m, struct bs_model_totals *out);

/* With sampling: of all objects, those that were not followed included; else 0. */
struct bs_estimate {
	struct bs_interval created, dropped, live, live_bytes;
};
/* Of the totals.  0 or -ENOMEM. */
int bs_model_estimate(const struct bs_model *m, struct bs_estimate *out);

/* Marks received at a place. */
uint64_t bs_model_hits(const struct bs_model *m, uint32_t place);

/* Quantiles of a log-linear histogram: at most 1/32 above the true value; max is exact. */
struct bs_lifetime {
	uint64_t count;
	uint64_t p50_ns, p90_ns, p99_ns, max_ns;
};

struct bs_class_row {
	uint32_t klass_id;
	uint64_t created, dropped, live, live_bytes, unknown;
	struct bs_lifetime lifetime; /* of dropped objects */
	struct bs_estimate estimate;
};

/* By the place (and caller, where told) of an object's new. */
struct bs_site_row {
	uint32_t klass_id;
	uint32_t place;
	uint32_t code; /* caller; 0: none */
	uint64_t created, dropped, live, live_bytes;
	uint64_t oldest_ns; /* age of the oldest live object */
	struct bs_lifetime lifetime;
	struct bs_estimate estimate; /* created and dropped whatever the age */
};

/*
 * Growth of live bytes of one (class, place, caller) that has live objects, over the window; its
 * first fifth, in which what is known fills up, is left out.
 * error_bytes_per_s: half-width of the 95 % interval of the slope: serial correlation of the
 * residuals, differences between parts of the window, the grain of single objects at both ends,
 * and what drops of unknown objects of the class could explain (bytes_per_s is then the middle of
 * what is possible) are in it.
 * sure_bytes_per_s = bytes_per_s - error, at least 0: the rows are sorted by it, falling.
 * With sampling the rates and their errors are those of all objects, live and live_bytes of those
 * that are followed.
 */
struct bs_growth_row {
	uint32_t klass_id;
	uint32_t place;
	uint32_t code;
	uint64_t live, live_bytes;
	double bytes_per_s, error_bytes_per_s, sure_bytes_per_s;
	double objects_per_s, error_objects_per_s;
	uint64_t oldest_ns;
	struct bs_estimate estimate;
};

/*
 * Alive when the process exited or replaced itself by exec.  After 131,072 rows further
 * processes share one row per origin, with pid 0.
 */
struct bs_exit_row {
	uint32_t pid;
	uint32_t klass_id;
	uint32_t place;
	uint32_t code;
	uint64_t count, bytes;
	struct bs_exit_estimate {
		struct bs_interval count, bytes;
	} estimate; /* of all objects, with sampling */
};

/*
 * What came of one (class, place, code): the parts of the rows above.  exited: alive when their
 * process exited or executed another program.  With sampling, rates are those of all objects, and
 * created, live and live_bytes are in the estimate, too.
 */
struct bs_stack_row {
	uint32_t klass_id, place, code;
	uint64_t created, dropped, live, live_bytes, exited, exited_bytes;
	double lifetime_ns; /* of all that were dropped, in sum */
	double bytes_per_s, error_bytes_per_s, objects_per_s, error_objects_per_s;
	struct bs_estimate estimate;
};

/*
 * Each makes a sorted array that the caller frees with free(); *n rows; *rows NULL when none.
 * 0 or -ENOMEM.
 *   classes  by live bytes, then live, then created, falling
 *   sites    likewise; min_age_ns > 0: live, live_bytes count only objects of at least that age,
 *            and rows without any are left out
 *   growth   by sure_bytes_per_s, falling (rows with nothing sure follow, by bytes_per_s)
 *   at_exit  by bytes, falling
 *   stacks   in the order in which they were met
 */
int bs_model_classes(const struct bs_model *m, struct bs_class_row **rows, size_t *n);
int bs_model_sites(const struct bs_model *m, uint64_t min_age_ns, struct bs_site_row **rows,
		   size_t *n);
int bs_model_growth(const struct bs_model *m, struct bs_growth_row **rows, size_t *n);
int bs_model_at_exit(const struct bs_model *m, struct bs_exit_row **rows, size_t *n);
int bs_model_stacks(const struct bs_model *m, struct bs_stack_row **rows, size_t *n);

/* --- verdicts --------------------------------------------------------------------------------- */

/*
 * What was done wrong with an object, proven by the marks that were seen; see the table in
 * verdict.c. Marks of different threads that are closer than BS_MODEL_SKEW_NS have no order: where
 * swapping them would make it legal, it is legal.  A processor reads its clock before what comes
 * before it in the program is over: on a busy machine with two CPUs, contended counts were seen to
 * be changed up to 0.7 us after the stamp of the mark that follows (tests/programs/contended.c).
 */
#define BS_MODEL_SKEW_NS 2000u

enum bs_verdict {
	BS_VERDICT_DOUBLE_DROP = 1,
	BS_VERDICT_USE_AFTER_DROP,
	BS_VERDICT_USE_AFTER_MOVE,
	BS_VERDICT_DROP_WHILE_BORROWED,
	BS_VERDICT_CONFLICTING_BORROW,
	BS_VERDICT_UNBALANCED_COUNT,
	BS_VERDICT_BORROW_OUTLIVES_OWNER,
	BS_VERDICT_LEAK,
	BS_VERDICT_END,
};

/*
 * All findings of one kind at one pair of places are one row; what is said of a single one is said
 * of the first.  at: the mark that was wrong (leak: the end of the region, or the drop of the
 * owner); since: the one that made it wrong (the drop, move, borrow or new before it).
 */
struct bs_verdict_row {
	enum bs_verdict verdict;
	uint32_t klass_id;
	uint32_t pid, tid;	      /* whose mark `at` is */
	uint64_t id;		      /* of the object */
	uint32_t at, since;	      /* places */
	uint32_t at_code, since_code; /* callers; 0: none said */
	uint32_t since_tid;
	uint64_t at_ns, since_ns; /* CLOCK_MONOTONIC */
	uint64_t count;
	int64_t balance; /* unbalanced-count: 1 + retains - releases; else 0 */
};

/* By time of the first.  As the rows above: freed by the caller, 0 or -ENOMEM. */
int bs_model_verdicts(const struct bs_model *m, struct bs_verdict_row **rows, size_t *n);

/*
 * Marks that look wrong, and that something unseen could explain (a loss, a site that was not lit,
 * the order of marks too close in time): no verdicts.
 */
uint64_t bs_model_undecided(const struct bs_model *m);

/*
 * What is known of a class before its marks come.  has_new: it has a site that says when objects
 * begin, without which a drop after a drop means nothing.  gap_ns: marks up to then may be missing:
 * a site was not lit until then, or is not at all (UINT64_MAX); the greatest that was said counts.
 * 0, -ENOMEM or -EINVAL (no such class can be).
 */
int bs_model_class(struct bs_model *m, uint32_t klass_id, bool has_new, uint64_t gap_ns);

/*
 * Sites of a class are not lit from now on (called once for each group of them), or are again, all
 * of that group.  Its verdicts are undecided until none is dark, and then for what began before
 * ts_ns.  0, -ENOMEM or -EINVAL.
 */
int bs_model_class_dark(struct bs_model *m, uint32_t klass_id);
void bs_model_class_lit(struct bs_model *m, uint32_t klass_id, uint64_t ts_ns);
/*
 * Nobody says any more when its objects end: all that are known have vanished.  Called when all
 * events up to ts_ns, when that began, have been given.  0 or -ENOMEM.
 */
int bs_model_class_forget(struct bs_model *m, uint32_t klass_id, uint64_t ts_ns);
/* Objects of a class may have begun of which nothing was seen: estimates have no upper end. */
void bs_model_class_missed(struct bs_model *m, uint32_t klass_id);

/* With coarse stamps: classes of which several threads have made marks, and which so have no
 * verdicts. */
size_t bs_model_shared(const struct bs_model *m);

/*
 * Ids of the class are numbers that each process has for itself, such as descriptors, and no
 * places in memory.  0, -ENOMEM or -EINVAL.
 */
int bs_model_numbers(struct bs_model *m, uint32_t klass_id);

/* --- the order of locks ----------------------------------------------------------------------- */

/*
 * Objects of the class are locks: of some of its borrows a thread says that it has waited for them
 * (BS_EVENT_WAITS).  Then
 *   - who holds one while it waits for another is remembered, for the cycles below;
 *   - one that is not known has begun without a mark (a static initialiser), also after a drop;
 *   - unborrow by somebody who does not hold it ends the exclusive borrow of whoever does.
 * 0, -ENOMEM or -EINVAL.
 */
int bs_model_locks(struct bs_model *m, uint32_t klass_id);

#define BS_CYCLE_MAX 4u /* threads that wait for each other; longer cycles are not looked for */

/* One thread held a lock and waited for another. */
struct bs_cycle_edge {
	uint32_t tid;
	uint32_t held_klass, held_place, held_code;
	uint32_t klass, place, code; /* of what it waited for */
	uint64_t held_id, id;
	uint64_t held_ns, ns; /* when it got the one, and the other */
};

/*
 * What each edge waits for the next one holds, and the last one waits for what the first one
 * holds: each by a thread of its own, no two of them under a lock that keeps them apart, and all
 * locks the same all the time.  It need not have happened, nor be able to: only that these orders
 * were taken is proven.  All at the same places are one row; the first is told.
 */
struct bs_cycle_row {
	uint32_t pid, n;
	struct bs_cycle_edge edges[BS_CYCLE_MAX];
	uint64_t count;
};

/* For how long locks were held exclusively, by where they were got. */
struct bs_lock_row {
	uint32_t klass_id, place, code;
	struct bs_lifetime held;
};

/*
 * As the rows above: freed by the caller, 0 or -ENOMEM.
 *   cycles  by time of the first
 *   locks   by the longest time, falling
 */
int bs_model_cycles(const struct bs_model *m, struct bs_cycle_row **rows, size_t *n);
int bs_model_lock_uses(const struct bs_model *m, struct bs_lock_row **rows, size_t *n);

/* All events have come: what was waiting for a mark that could explain it is decided. */
int bs_model_end(struct bs_model *m);

#endif
