/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * lighting.h - which sites are lit, in which process, how, and why not otherwise.
 *
 * A process is lit by jumps (its switches are patched, target/guardian.h) where that can be done,
 * else by traps (uprobes on its files, collect).  The two may be mixed: sites that no jump can
 * light always get a trap.
 */
#ifndef BS_TRACE_LIGHTING_H
#define BS_TRACE_LIGHTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sample.h"
#include "bscope-trace/calibrate.h"
#include "target/jump.h"

struct bs_buffers;
struct bs_collect;
struct bs_error;
struct bs_followed;
struct bs_guard;
struct bs_module;
struct bs_options;
struct bs_process;
struct bs_sites;

/* A module of the session. */
struct bs_lit_module {
	struct bs_module *m;
	struct bs_stub *stubs;
	bool *chosen;
	bool *dark; /* chosen by the user, but not lit for now */
	uint32_t *klass;
	uint32_t first;		  /* number of its first site */
	bool listening;		  /* to its runtime */
	bool all, always;	  /* sets of traps that are lit (collect.h) */
	size_t why[BS_JUMP_WHYS]; /* chosen sites by what is in the way of a jump */
};

struct bs_lighting {
	const struct bs_options *options;
	struct bs_sites *sites;
	struct bs_collect *collect;
	struct bs_buffers *buffers;
	struct bs_guard *guard; /* NULL: traps only */
	const char *no_jumps;	/* why, where that was not asked for; constant */
	struct bs_lit_module *modules;
	size_t nmodules;
	struct bs_sample sample; /* how it is decided whom to follow, as it is now */
	uint32_t plans;		 /* numbers given so far */
	uint64_t events;	 /* that were received so far; kept by the session */

	bool sampled_again;	  /* a process began its blocks (bscope/follow.h) anew */
	size_t stackless;	  /* processes lit by jumps whose runtimes cannot give stacks */
	struct bs_jump_cost cost; /* measured at the start */
	uint64_t pause_ns;	  /* the longest stop of a process, and how many there were */
	uint64_t stops;
	size_t jumped;	  /* processes lit by jumps so far, forked children not counted */
	size_t trapped;	  /* processes lit by traps now */
	size_t foreign;	  /* switches that hold somebody else's bytes */
	size_t elsewhere; /* sites whose stub does not call a runtime that we know */
	/* Programs that ended, or executed others, before their jumps could be written; -m jump. */
	size_t unlit;
	char unlit_why[1024]; /* of the first */
	/* Programs executed in the dark, while others were lit by jumps, and lit later. */
	size_t lit_late;
	uint64_t lit_late_ns; /* by so much at most */
	size_t unlooked;      /* or over before, as far as they may have had sites */
	/* Traps are to go dark since then (0: no), and so much was in the ring by then. */
	uint64_t release_ns, release_written;
	uint64_t dark_ns; /* CLOCK_MONOTONIC when everything was dark again; 0: not yet */
};

/*
 * Starts the guardian, if sites may be lit by jumps.  After collect is loaded, before anything is
 * attached.  -ENOTSUP where jumps were asked for and this machine cannot.
 */
int bs_lighting_init(struct bs_lighting *l, const struct bs_options *o, struct bs_sites *sites,
		     struct bs_collect *collect, struct bs_buffers *buffers, struct bs_error *err);
void bs_lighting_fini(struct bs_lighting *l);

/* Numbers the sites of a module (borrowed).  Lights nothing.  0 or -ENOMEM. */
int bs_lighting_add(struct bs_lighting *l, struct bs_module *m, struct bs_error *err);

/*
 * From now on objects are followed like this: processes that are lit are told.  One that cannot be
 * told goes on as it was: -errno, with err.
 */
int bs_lighting_sample(struct bs_lighting *l, const struct bs_followed *processes,
		       const struct bs_sample *sample, struct bs_error *err);
/* Objects that were to be followed and found no place, in all processes that are alive. */
uint64_t bs_lighting_sample_full(const struct bs_lighting *l, const struct bs_followed *processes);

/* Lights all chosen sites of all modules by traps, those that are not yet. */
int bs_lighting_traps(struct bs_lighting *l, struct bs_error *err);
/* Does this module, or (NULL) any with sites, have to wait for its traps still? */
bool bs_lighting_lacks_traps(const struct bs_lighting *l, const struct bs_module *m);

/*
 * Does what can be done for a process now: lights by jumps what it has mapped and is not lit;
 * or, where that is not possible for good, by traps.  wait: tries again for some seconds where it
 * is not possible just now; otherwise the next call is another try.  Says in p how it is lit.
 * 0, or -errno with err: it could not be lit at all, or not in the way that was asked for.
 */
int bs_lighting_process(struct bs_lighting *l, struct bs_process *p, bool wait,
			struct bs_error *err);

/*
 * Has the process executed a program, or is it about to, of which the record is still to come?
 * Whatever is read of it says nothing then.
 */
bool bs_lighting_executes(const struct bs_lighting *l, const struct bs_process *p);
/* Is it dark still, though somebody has tried to light it?  p->why says why. */
bool bs_lighting_unlit(const struct bs_lighting *l, const struct bs_process *p);

/*
 * Records from before before_ns have come (bs_collect_poll): traps that nobody needs go dark.  To
 * be called often.
 */
void bs_lighting_settle(struct bs_lighting *l, uint64_t before_ns);

/* Can only a trap light this site, in processes that are lit by jumps, too? */
bool bs_lighting_trap_only(const struct bs_lighting *l, uint32_t site);

/*
 * With sampling: is that a site where objects begin that no process lit by jumps can follow, since
 * only a trap can light it (bpf/follow.h)?
 */
bool bs_lighting_unfollowed(const struct bs_lighting *l, uint32_t site);

/* A site is to be lit from now on, or dark.  Processes follow by bs_lighting_follow_choice. */
void bs_lighting_choose(struct bs_lighting *l, uint32_t site, bool on);
/*
 * Darkens and lights in all processes that are lit by jumps what is chosen otherwise by now.  A
 * process that cannot be stopped keeps what it has; 0, or -errno with err of the first.
 */
int bs_lighting_follow_choice(struct bs_lighting *l, const struct bs_followed *processes,
			      struct bs_error *err);

/* Are all processes that are lit by jumps lit as far as is chosen?  One that cannot be read is not.
 */
bool bs_lighting_as_chosen(const struct bs_lighting *l, const struct bs_followed *processes);

/* Now and then: starts another guardian when somebody has killed it.  0, or -errno with err. */
int bs_lighting_check(struct bs_lighting *l, struct bs_error *err);

/*
 * A child has its parent's text as it was at that moment, lit by that plan or (0) not by jumps.
 * shares: it has its parent's memory.
 */
void bs_lighting_fork(struct bs_lighting *l, const struct bs_process *parent,
		      struct bs_process *child, bool shares, uint32_t plan);
/*
 * The process has become another program, at that time (CLOCK_MONOTONIC), and its names are those
 * of the one before still; or has ended.
 */
void bs_lighting_exec(struct bs_lighting *l, struct bs_process *p, uint64_t ts_ns);
void bs_lighting_exit(struct bs_lighting *l, struct bs_process *p);

/*
 * Makes every switch a nop again.  meanwhile(ctx) is called all the time until that is done, since
 * programs go on.  What cannot be darkened now is described in err (the guardian goes on).
 */
int bs_lighting_dark(struct bs_lighting *l, int (*meanwhile)(void *ctx), void *ctx,
		     struct bs_error *err);

#endif
