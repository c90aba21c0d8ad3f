/* SPDX-License-Identifier: MIT */
/*
 * buffer.h - the buffers in which a program's threads record their events, as they lie in its
 * memory: the contract between the runtime, which writes them, and the BPF programs and tools,
 * which read them from outside while they are being written.
 *
 * Plain constants and structs only, so that it can be included from C, C++ and BPF code.
 *
 * A buffer belongs to one thread and is a ring of slots in two halves.  Slots are numbered by a
 * count that only grows; slot N lies at place N % BSCOPE_BUFFER_SLOTS.  A slot is reserved by
 * adding to the count, in one instruction, so that signal handlers nest, and committed by writing
 * its head last, in one store.  The head says in which lap it was written: one that is not of the
 * lap in question was reserved and not written yet, or never will be.  Who commits the last slot
 * of a half fires the probe bscope:batch; meanwhile the other half takes what signal handlers
 * add.
 *
 * An event takes one slot, or two neighbours of the same half where its kind has more than an id
 * (abi.h).  So events written = next - extra, whatever was read of them.
 *
 * An event whose stack is wanted (control.h) fires the probe bscope:stack between reserving its
 * slot and committing it.  Its operands: the buffer, the number of the slot, the address of the
 * site and the stack pointer there; rbp, rbx and r12 to r15 are as at the site.  So whoever finds
 * the slot committed has been told of its stack before.
 */
#ifndef BSCOPE_BUFFER_H
#define BSCOPE_BUFFER_H

#ifndef __bpf__
#include <stdint.h>
#else
typedef unsigned long long uint64_t;
typedef long long int64_t;
typedef unsigned int uint32_t;
#endif

#define BSCOPE_STRATA 256u
/*
 * The stratum of an object that begins at the site with this number, for this caller (0: the site
 * has none).  Of a return address only what is the same wherever the code is mapped.
 */
#define BSCOPE_STRATUM(number, caller) (((number) ^ (caller) ^ (caller) >> 4) & (BSCOPE_STRATA - 1))

#define BSCOPE_BUFFER_SLOTS 4096u
#define BSCOPE_BATCH_SLOTS  2048u /* a half */

/*
 * struct bscope_slot.head of the slot of an event:
 *
 *   bits 0 to 19    number of the site (of struct bscope_site.index); 0: the slot is left empty
 *                   (its time is anything but 0)
 *   bit  20         0
 *   bits 21 to 23   lap: the slot's number / BSCOPE_BUFFER_SLOTS, its low bits
 *   bits 24 to 63   time: the low 40 bits of the time stamp counter (six minutes at 3 GHz), which
 *                   whoever reads knows to be in the past
 *
 * and value is the id.  The slot of further operands:
 *
 *   bit  20         1
 *   bits 21 to 23   lap
 *   bits 24 to 63   operand 2, its low 40 bits
 *   bits  0 to 19   operand 2, the next 20 bits: it is an address of code, at most 57 bits wide
 *
 * and value is operand 1.  The second slot is committed before the first.
 */
#define BSCOPE_SLOT_INDEX_BITS 20
#define BSCOPE_SLOT_INDEX_MASK ((1u << BSCOPE_SLOT_INDEX_BITS) - 1)
#define BSCOPE_SLOT_EXTRA      (1u << 20)
#define BSCOPE_SLOT_LAP_SHIFT  21
#define BSCOPE_SLOT_LAP_MASK   (7u << BSCOPE_SLOT_LAP_SHIFT)
#define BSCOPE_SLOT_TIME_SHIFT 24
#define BSCOPE_SLOT_TIME_BITS  40
/* slot number / BSCOPE_BUFFER_SLOTS, in place: 2^12 slots, bit 21 */
#define BSCOPE_SLOT_LAP(number) ((uint32_t)((number) << 9) & BSCOPE_SLOT_LAP_MASK)

struct bscope_slot {
	uint64_t head;
	uint64_t value;
};

/*
 * Numbers start at BSCOPE_BUFFER_SLOTS, in lap 1: memory that was never written, or that fork has
 * wiped, holds no slot of the first laps.
 */
#define BSCOPE_BUFFER_FIRST ((uint64_t)BSCOPE_BUFFER_SLOTS)

struct bscope_buffer {
	/*
	 * The thread that has it, or had it last: its thread pointer (x86-64: %fs:0), with flags.
	 * 0: nobody.  Taken by the thread itself, which announces it by the probe bscope:buffer.
	 *
	 * BSCOPE_OWNER_RENEW is added by a tool that attaches: the thread takes it away before its
	 * next event, and announces itself again.  BSCOPE_OWNER_DEAD is added by a tool that knows
	 * that the thread has ended: any thread may take the buffer.
	 */
	uint64_t owner;
	uint64_t next;	/* slots reserved so far, of all owners; only grows */
	uint64_t extra; /* of these, slots that are no event of their own; only grows */
	uint64_t tid;	/* of the owner, written by the tool, which alone knows it; 0: not known */
	/* Sampling (follow.h): how the owner decides, and its resizes that have begun. */
	int64_t gap;	   /* to the next object that is followed */
	uint64_t random;   /* state of its generator */
	uint64_t resizing; /* a bit for each, the last one lowest: was it followed? */
	uint32_t epoch;	   /* of the control block, when gap was drawn */
	/*
	 * Time stamp counter, bits 8 to 39, at the beginning of the half or later: the stamp of all
	 * events until it is renewed, where stamps are coarse.  Written by the owner when it takes
	 * the buffer and when a half is full, and by a tool, which so makes it no older than its
	 * last look.
	 */
	uint32_t coarse;
	struct bscope_slot slots[BSCOPE_BUFFER_SLOTS];
	/*
	 * Sampling by blocks, by stratum.  Lower half: births up to the one that is followed, that
	 * one included; upper half: births of its block behind it, and 1.  0: no block has begun.
	 */
	uint64_t blocks[BSCOPE_STRATA];
};

#define BSCOPE_BUFFER_HEAD_BYTES 64u
#define BSCOPE_OWNER_RENEW	 1ull
#define BSCOPE_OWNER_DEAD	 2ull
#define BSCOPE_OWNER_FLAGS	 7ull /* thread pointers are aligned */

/*
 * The pool: anonymous memory that the library maps at start and touches when lit.  Wiped in a
 * forked child (MADV_WIPEONFORK), which so begins without its parent's events.  buffers[] lie
 * behind it, control.buffers of them.
 */
struct bscope_pool {
	uint64_t no_buffer; /* events lost because all buffers were taken; exact */
	uint64_t full_at;   /* time stamp counter when that was found last */
	uint32_t used;	    /* buffers with a number below this have been taken once */
	uint32_t pad;
	/*
	 * The tool that has lit the process by jumps: its process id, and from bit 22 on when it
	 * began (starttime of proc(5)).  0: none.  Two would take each other's numbers of sites.
	 */
	uint64_t tool;
	uint64_t reserved[4];
#ifndef __cplusplus
	struct bscope_buffer buffers[]; /* which C++ has not */
#endif
};

#endif /* BSCOPE_BUFFER_H */
