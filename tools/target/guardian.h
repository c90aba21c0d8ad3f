/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * guardian.h - a process of its own that lights and darkens the switches of traced processes on
 * behalf of the tool, and darkens them by itself when the tool dies, however it dies.
 *
 * The tool says what to light; the guardian keeps the list (in memory that both share, so that
 * a guardian that was killed can be replaced) and has each single stop of a process done by a
 * short-lived child, the surgeon, which it kills if it holds a stop longer than
 * BS_GUARD_HOLD_NS: with its tracer a stopped process is let go by the kernel.
 *
 * Switches are kept by plan: a number the tool gives to the first process with a certain
 * layout of memory.  Children that it forks inherit its lit text, and its plan.
 */
#ifndef BS_TARGET_GUARDIAN_H
#define BS_TARGET_GUARDIAN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "target/patch.h"

struct bs_error;
struct bs_guard;

#define BS_GUARD_HOLD_NS 200000000ull

/* A process that may have lit text: traced now, or found by the kernel's programs since. */
struct bs_guarded {
	pid_t pid;
	uint32_t plan;
};

/*
 * What the guardian asks of others; called in the guardian's process, after the tool's death too,
 * so they must work there: descriptors and shared mappings that exist when it is started do.
 */
struct bs_guard_ops {
	/* All processes that are traced now, forked children included: at most max; how many. */
	size_t (*traced)(void *ctx, struct bs_guarded *out, size_t max);
	/* See bs_patch; may be NULL. */
	uint64_t (*shares)(void *ctx);
	/*
	 * Called by the surgeon while the process stands still and its switches have been lit, so
	 * that others change at that very instant, too.  Must be quick.  May be NULL.
	 */
	void (*lit)(void *ctx, pid_t pid, uint32_t plan);
	/*
	 * A number that grows with every program that the process executes; may be NULL.  Asked
	 * while it stands still, before anything is written.
	 */
	uint32_t (*execs)(void *ctx, pid_t pid);
	/* The same when everything in it has been darkened, by bs_guard_dark. */
	void (*dark)(void *ctx, pid_t pid);
	void *ctx;
};

/*
 * Starts the guardian.  It inherits all descriptors that are open now and keeps them open until it
 * ends: whatever must be released by the tool's death is opened afterwards.  0 or -errno with err.
 */
int bs_guard_new(const struct bs_guard_ops *ops, struct bs_guard **out, struct bs_error *err);

/*
 * Adds the n switches of v to the plan and lights them in the process: one try, of about
 * BS_PATCH_STOP_NS.  v[i].state and *result as bs_patch says.  What could not be lit stays in the
 * plan: another try with the same switches does not add them twice.
 * execs: what ops.execs says of the program that the caller knows to run there; if that has grown,
 * the switches may be another program's, and none is lit: -EAGAIN.
 * trapped: a trap in front of each switch counts its hits until now.  A thread that stands right at
 * a switch has been counted; it is moved behind it. Returns result->code, or -errno of the guardian
 * itself with result->why saying so.
 */
int bs_guard_light(struct bs_guard *g, uint32_t plan, pid_t pid, uint32_t execs, struct bs_patch *v,
		   size_t n, bool trapped, struct bs_patch_result *result);

/*
 * Darkens n switches of the plan in the process, in one try as bs_guard_light; the plan keeps them,
 * and they can be lit again.  Children of the process that were forked meanwhile are others.
 */
int bs_guard_darken(struct bs_guard *g, uint32_t plan, pid_t pid, struct bs_patch *v, size_t n,
		    struct bs_patch_result *result);

/*
 * Begins to darken everything in all processes: those lit and those that ops.traced names, until
 * no unknown one is left.  Returns at once; bs_guard_fd is readable when it is done.
 */
int bs_guard_dark(struct bs_guard *g);
int bs_guard_fd(const struct bs_guard *g);

struct bs_dark_result {
	uint32_t processes; /* darkened */
	uint32_t stuck;	    /* processes that could not be stopped yet: the guardian goes on */
	pid_t stuck_pid;    /* one of them */
	uint64_t pause_ns;  /* the longest pause of a process */
	uint64_t at_ns;	    /* CLOCK_MONOTONIC when the last one was dark */
	char why[160];	    /* about stuck_pid */
};
/*
 * Takes the answer, waiting for it if need be (at most some seconds: processes that cannot be
 * stopped until then count as stuck, and the guardian goes on trying after the tool has gone).
 * If the guardian was killed meanwhile, a new one is started and does the work.
 */
int bs_guard_dark_wait(struct bs_guard *g, struct bs_dark_result *result);

/*
 * To be called when bs_guard_fd is readable though nobody asked for darkness: was the guardian
 * killed, it is replaced.  0 or -errno.
 */
int bs_guard_check(struct bs_guard *g);

/*
 * Ends the guardian; what is lit is darkened before, with or without bs_guard_dark.  NULL is
 * allowed.
 */
void bs_guard_free(struct bs_guard *g);

#endif
