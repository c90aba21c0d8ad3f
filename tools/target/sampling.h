/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sampling.h - tells the runtimes in a process which objects they are to follow
 * (include/bscope/follow.h).
 */
#ifndef BS_TARGET_SAMPLING_H
#define BS_TARGET_SAMPLING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct bs_error;
struct bs_jump_pool;
struct bs_sample;

/*
 * Before sites of the process are lit: its runtimes share a table and know how they decide.  anew:
 * nothing of it is lit now, so the table is emptied; else it is kept, and runtimes that are new
 * join.  coarse: stamps are.  stack_kinds: whose events are to fire bscope:stack, a bit for each
 * enum bscope_kind; a runtime that cannot do that is not told.  Errors, with err: -ENOTSUP (no
 * memory for a table), or what bs_memory_write says.
 */
int bs_sampling_begin(pid_t pid, const struct bs_jump_pool *pools, size_t n,
		      const struct bs_sample *s, bool coarse, uint32_t stack_kinds, bool anew,
		      struct bs_error *err);

/* The table that the runtimes share then, 0 if there is none. */
uint64_t bs_sampling_table(const struct bs_jump_pool *pools, size_t n);

/*
 * While it is lit: another mean, from now on for each object that begins.  0 or as
 * bs_memory_write.
 */
int bs_sampling_change(pid_t pid, const struct bs_jump_pool *pools, size_t n,
		       const struct bs_sample *s);

/* Objects that found no place in the table so far, and were forgotten; 0 where nobody knows. */
uint64_t bs_sampling_full(pid_t pid, const struct bs_jump_pool *pools, size_t n);

#endif
