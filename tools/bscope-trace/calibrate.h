/* SPDX-License-Identifier: GPL-2.0-only */
/* calibrate.h - what an event costs on this machine. */
#ifndef BS_TRACE_CALIBRATE_H
#define BS_TRACE_CALIBRATE_H

struct bs_collect;

/* In ns, of an event that takes one slot of a buffer, and of one that takes two; 0: not known. */
struct bs_jump_cost {
	double one, two;
};

/*
 * What an event of a site that is lit by a jump costs the thread that makes it: the tool has a copy
 * of the runtime and sites of its own, which it lights, hits and darkens, with the BPF programs of
 * the trace behind them.  Before the guardian is started and before anything is traced.
 */
struct bs_jump_cost bs_calibrate_jump(struct bs_collect *c);

#endif
