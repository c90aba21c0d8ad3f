/* SPDX-License-Identifier: GPL-2.0-only */
/* calibrate.h - what an event costs on this machine. */
#ifndef BS_TRACE_CALIBRATE_H
#define BS_TRACE_CALIBRATE_H

#include <stdbool.h>

struct bs_collect;

/*
 * In ns; 0: not known.  Of an event that takes one slot of a buffer, and of one that takes two.
 * With sampling, in the mean over a new, a borrow and a drop: of a mark of an object that is not
 * followed, and of one that is.
 */
struct bs_jump_cost {
	double one, two;
	double skip, follow;
	/*
	 * Of an object that is not followed, what its first mark costs more where what the table
	 * says of it is in no cache.
	 */
	double object;
	/* How far rounds of the measurement lie from the least, which these are: median, a part of
	 * one. */
	double spread;
};

/*
 * What an event of a site that is lit by a jump costs the thread that makes it: the tool has a copy
 * of the runtime and sites of its own, which it lights, hits and darkens, with the BPF programs of
 * the trace behind them.  sampling: also what only that costs.  Before the guardian is started and
 * before anything is traced.
 */
struct bs_jump_cost bs_calibrate_jump(struct bs_collect *c, bool sampling);

#endif
