/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * lighting_state.h - shared by lighting.c (which sites, in which process, how) and lighting_jumps.c
 * (one process by jumps), and by nobody else.
 */
#ifndef BS_TRACE_LIGHTING_STATE_H
#define BS_TRACE_LIGHTING_STATE_H

#include <errno.h>
#include <stdbool.h>

#include "bscope-trace/followed.h"
#include "bscope-trace/lighting.h"

#define PAGE 4096u
/*
 * A process that cannot be stopped right now (a thread waits in the kernel, or another process has
 * just come to share its memory) is tried again, so many times before it gets traps.
 */
#define TRIES_MAX 25
#define TRY_NS	  40000000ull

static inline void bs_lighting_how(struct bs_lighting *l, struct bs_process *p, enum bs_lit how)
{
	l->trapped -= p->how == BS_LIT_TRAP;
	l->trapped += how == BS_LIT_TRAP;
	p->how = how;
}

/* -EFAULT: what was mapped a moment ago is not, so it is just executing a program, or unloading. */
static inline bool bs_lighting_again(int ret)
{
	return ret == -ETIMEDOUT || ret == -EAGAIN || ret == -EFAULT;
}

/* The traps that no jump replaces are lit, now and from now on.  0 or -errno with err. */
int bs_lighting_always(struct bs_lighting *l, struct bs_lit_module *lm, struct bs_error *err);

/*
 * Finds the switches of the process and has them patched; wait: tries until it can be stopped.  0,
 * or -errno with err: those of bs_lighting_again are worth another try; -ENOENT: there is no
 * runtime in it; -ESRCH: it has gone.
 */
int bs_lighting_jumps(struct bs_lighting *l, struct bs_process *p, bool wait, struct bs_error *err);

/* The switches of the process that are chosen no more go dark; one try.  0 or -errno with err. */
int bs_lighting_darken(struct bs_lighting *l, const struct bs_process *p, struct bs_error *err);

/* Each chosen site of the process that can be lit by a jump is. */
bool bs_lighting_all_lit(const struct bs_lighting *l, const struct bs_process *p);

/* The runtimes of the process, of which it keeps a copy: what they follow may change.  -ENOMEM. */
int bs_lighting_pools(struct bs_process *p, const struct bs_jump_pool *pools, size_t n);

#endif
