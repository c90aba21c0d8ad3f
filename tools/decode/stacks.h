/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * stacks.h - stacks of events, each once: a list of numbers of code (symbol.h) becomes one number,
 * which takes the place of a caller.
 *
 * One thread.
 */
#ifndef BS_DECODE_STACKS_H
#define BS_DECODE_STACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bs_stacks;

/* In a number that may be that of a code: it is that of a stack. */
#define BS_STACK_BIT (1u << 31)
static inline bool bs_is_stack(uint32_t code)
{
	return code & BS_STACK_BIT;
}

/* Frames that a stack may have. */
#define BS_STACK_FRAMES 128u
/* Distinct stacks that are kept. */
#define BS_STACKS_MAX 65536u

/* struct bs_stack.flags */
#define BS_STACK_TRUNCATED 0x01u /* there may have been more frames */
#define BS_STACK_BROKEN	   0x02u /* behind the last frame comes what is no code */

/* As long as the table lives. */
struct bs_stack {
	const uint32_t *codes; /* the site itself, then return addresses, the innermost first */
	uint32_t n;
	uint32_t name;	 /* of the process, see bs_stacks_name */
	uint32_t caller; /* that its site says it has; 0: it says none */
	uint32_t place;	 /* of the site, 0 before an event has come with it */
	uint8_t kind;	 /* enum bscope_kind, likewise */
	uint8_t flags;	 /* BS_STACK_* */
	uint64_t events; /* that came with it */
};

/* NULL when out of memory. */
struct bs_stacks *bs_stacks_new(void);
void bs_stacks_free(struct bs_stacks *s);

/* A number for the short name of a process, from 1; 0 for what is too much or when out of memory.
 */
uint32_t bs_stacks_name(struct bs_stacks *s, const char *name);
const char *bs_stacks_name_get(const struct bs_stacks *s, uint32_t name); /* "?" for 0 */

/* Its number, with BS_STACK_BIT; 0: there is no room, which is counted. */
uint32_t bs_stacks_intern(struct bs_stacks *s, uint32_t name, const uint32_t *codes, uint32_t n,
			  uint8_t flags);

/*
 * An event of that place and kind has come with this stack, and names its caller (or 0).  Returns
 * the number of the stack that has this caller among its frames, mostly the same; where there is no
 * room for another one, the caller.
 */
uint32_t bs_stacks_event(struct bs_stacks *s, uint32_t stack, uint32_t place, uint8_t kind,
			 uint32_t caller);

/* Borrowed; NULL for what is no stack. */
const struct bs_stack *bs_stacks_get(const struct bs_stacks *s, uint32_t stack);
/* From 1 to bs_stacks_count: the number of the i-th. */
uint32_t bs_stacks_count(const struct bs_stacks *s);

/* The caller that an event had: of a stack the one that its site says, else the code itself. */
uint32_t bs_stacks_caller(const struct bs_stacks *s, uint32_t code);

/* Stacks for which there was no room. */
uint64_t bs_stacks_beyond(const struct bs_stacks *s);

#endif
