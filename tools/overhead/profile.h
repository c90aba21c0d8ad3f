/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * profile.h - stacks of samples, counted: equal ones are stored once.  What frames mean only the
 * caller knows.
 */
#ifndef BS_OVERHEAD_PROFILE_H
#define BS_OVERHEAD_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bs_profile;

/* Phases: without sites lit, and with. */
#define BS_PROFILE_PHASES 2

/* Frames of all stacks, so that a program that makes up return addresses cannot use up memory. */
#define BS_PROFILE_NODES (1u << 21)

struct bs_profile *bs_profile_new(void);
void bs_profile_free(struct bs_profile *p);

/*
 * A sample in a phase: n frames, the outermost first; marked: it is what tracking costs.  When
 * there are BS_PROFILE_NODES frames, what would need more counts for the innermost frame that is
 * there. 0 or -ENOMEM, and then it is not counted.
 */
int bs_profile_add(struct bs_profile *p, const uint64_t *frames, size_t n, unsigned phase,
		   bool marked);

uint64_t bs_profile_samples(const struct bs_profile *p, unsigned phase);
uint64_t bs_profile_marked(const struct bs_profile *p, unsigned phase);
/* Samples whose inner frames found no room. */
uint64_t bs_profile_cut(const struct bs_profile *p);

/*
 * Calls fn for each stack that has samples of its own, with their number by phase.  A return value
 * that is not 0 ends it and is returned.
 */
typedef int (*bs_profile_stack_fn)(void *ctx, const uint64_t *frames, size_t n,
				   const uint64_t count[BS_PROFILE_PHASES]);
int bs_profile_each(const struct bs_profile *p, bs_profile_stack_fn fn, void *ctx);

#endif
