/* SPDX-License-Identifier: MIT */
/*
 * control.h - the control block of libbscope: what the library tells the outside about itself.
 *
 * A program may read it at any time; so may a tool, from outside, which finds it
 * without symbols: it is where the note of the probe bscope:batch says that its semaphore is.
 * Members are only ever added at the end: `size` says how many there are.
 */
#ifndef BSCOPE_CONTROL_H
#define BSCOPE_CONTROL_H

#include <stdint.h>

#define BSCOPE_CONTROL_ABI 4

/* Section of the code that records: nothing is executed there but what lit sites call. */
#define BSCOPE_RECORD_SECTION "bscope_text"

struct bscope_control {
	/* Raised by the kernel while somebody listens to bscope:batch and bscope:buffer. */
	volatile uint16_t semaphore;
	uint16_t abi;  /* BSCOPE_CONTROL_ABI */
	uint32_t size; /* sizeof(struct bscope_control) of the library */
	/*
	 * Marks that reached the library by a stub while nobody was there to take them: dropped.
	 * Added to without a lock: exact within one thread, low by what threads overwrote.
	 */
	uint64_t unrecorded;
	/* Not 0 when the library has been set up, by its constructor. */
	uint64_t started;
	/* The pool (buffer.h), 0 if there is none: the memory was refused.  Bytes and buffers. */
	uint64_t pool;
	uint64_t pool_bytes;
	uint64_t buffers;
	/* What stubs must call, by number of operands: one that calls elsewhere is not lit. */
	uint64_t entries[3];
	/*
	 * A struct bscope_follow (follow.h): the library's own, part of the pool; 0 if there is
	 * none.  A tool lets all copies of the library in a process use the same.
	 */
	volatile uint64_t table;
	/*
	 * Written by a tool: whether only objects in the table are followed, and stamps are coarse;
	 * how it is decided who is followed.  The epoch is changed after the others were.
	 */
	volatile uint64_t follow_gap;
	volatile uint64_t follow_base;
	volatile uint32_t follow_flags; /* BSCOPE_FOLLOW_* */
	volatile uint32_t follow_epoch; /* not 0 */
	volatile uint32_t follow; /* BSCOPE_FOLLOW_CHOSEN, BSCOPE_STAMP_COARSE, BSCOPE_STACKS */
	/*
	 * Written by a tool, with BSCOPE_STACKS: a bit for each enum bscope_kind whose events that
	 * are recorded fire the probe bscope:stack.  A library without that probe knows no such
	 * bits.
	 */
	volatile uint32_t stacks;
	/* Written by a tool, with BSCOPE_FOLLOW_BLOCKS, before the epoch: births in a block. */
	volatile uint32_t follow_block;
};

#ifdef __cplusplus
extern "C" {
#endif
/* Of the copy of the library that the caller is linked with; valid as long as that is loaded. */
const struct bscope_control *bscope_control(void);
#ifdef __cplusplus
}
#endif

#endif /* BSCOPE_CONTROL_H */
