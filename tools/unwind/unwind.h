/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * unwind.h - return addresses of a thread from its registers and a copy of its stack, by the call
 * frame information (CFI) of the files that its process has mapped.
 *
 * The CFI is read by libdw (elfutils), one answer per address of code, which is kept; the walk over
 * the stack is ours.  libdwfl's own walk is not used: where there is no CFI it guesses by frame
 * pointers, and a guess is a frame that may never have been.
 *
 * Nothing here is trusted: neither the stack, nor the files.  A walk takes at most max steps of
 * bounded work.  libdw runs in a process of its own (cfi.h), so that a file that makes it crash,
 * hang or eat memory costs the frames of that file and nothing else.
 *
 * x86-64 only.  One thread at a time may use a struct bs_unwind.
 */
#ifndef BS_UNWIND_UNWIND_H
#define BS_UNWIND_UNWIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bs_error;
struct bs_unwind;

/* DWARF numbers of registers: System V ABI, AMD64 supplement, figure 3.36. */
enum bs_unwind_reg {
	BS_UNWIND_RAX = 0,
	BS_UNWIND_RDX = 1,
	BS_UNWIND_RCX = 2,
	BS_UNWIND_RBX = 3,
	BS_UNWIND_RSI = 4,
	BS_UNWIND_RDI = 5,
	BS_UNWIND_RBP = 6,
	BS_UNWIND_RSP = 7,
	BS_UNWIND_R8 = 8,
	BS_UNWIND_R9 = 9,
	BS_UNWIND_R10 = 10,
	BS_UNWIND_R11 = 11,
	BS_UNWIND_R12 = 12,
	BS_UNWIND_R13 = 13,
	BS_UNWIND_R14 = 14,
	BS_UNWIND_R15 = 15,
	BS_UNWIND_RIP = 16,
	BS_UNWIND_NREGS = 17,
};

struct bs_unwind_regs {
	uint64_t v[BS_UNWIND_NREGS];
	uint32_t known; /* bit n: v[n] is; those of rsp and rip must be set */
};

/* Why the walk ended.  The values are not stored anywhere. */
enum bs_unwind_end {
	BS_UNWIND_COMPLETE,  /* the last one is the outermost frame */
	BS_UNWIND_TRUNCATED, /* the copy of the stack ends here */
	BS_UNWIND_DEEP,	     /* there are more than max */
	BS_UNWIND_NO_CFI,    /* nothing says how to leave the last one */
	BS_UNWIND_BROKEN,    /* what says it makes no sense with this stack */
};

/*
 * Starts the process that reads CFI; call it before there is much to copy in a fork, and before
 * privileges are dropped.  now_ns: CLOCK_MONOTONIC, never 0.  0, -ENOTSUP (not x86-64), -ENOMEM,
 * or what kept the process from starting.
 */
int bs_unwind_new(struct bs_unwind **out, uint64_t now_ns, struct bs_error *err);
void bs_unwind_free(struct bs_unwind *u);

/* Time has come to now_ns: mappings that were read a second ago are not trusted any more. */
void bs_unwind_tick(struct bs_unwind *u, uint64_t now_ns);

/*
 * What was copied of a stack: size bytes from start on, which need not be aligned.  start should be
 * BS_UNWIND_RED_ZONE below rsp, where the ABI lets functions keep things: gcc -O0 finds rbp there
 * after popping it.
 */
#define BS_UNWIND_RED_ZONE 128u
struct bs_unwind_stack {
	uint64_t start;
	const uint8_t *bytes;
	size_t size;
};

/*
 * Code addresses, innermost first, at most max (at least 1): out[0] is rip, the others return
 * addresses: the byte before each is what its frame executes.  (So where a signal interrupted a
 * frame it is the address behind the first byte of the instruction.)  Returns how many, at least 1;
 * *end says why there are not more.  What has been seen of a process that has gone is still known.
 */
size_t bs_unwind(struct bs_unwind *u, uint32_t pid, const struct bs_unwind_regs *regs,
		 const struct bs_unwind_stack *stack, uint64_t *out, size_t max,
		 enum bs_unwind_end *end);

/*
 * The mappings of pid have changed (exec, dlopen): they are read now, and its files opened, since
 * it may have gone when its first stack comes.  A child of a fork starts with its parent's.
 */
void bs_unwind_invalidate(struct bs_unwind *u, uint32_t pid);
void bs_unwind_fork(struct bs_unwind *u, uint32_t parent, uint32_t child);

struct bs_unwind_stats {
	uint64_t asked;	 /* addresses that libdw was asked for */
	uint64_t deaths; /* times that its process was lost: crashed, out of memory or too slow */
	uint64_t late;	 /* walks that end where it did not answer in time, with BS_UNWIND_NO_CFI */
	uint64_t waited_ns; /* for its answers, in all */
	bool full;	    /* more files were mapped than are kept */
};
void bs_unwind_stats(const struct bs_unwind *u, struct bs_unwind_stats *out);

#endif
