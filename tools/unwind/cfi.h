/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cfi.h - how to leave a frame, asked of libdw in a process of its own.
 *
 * The files belong to who is traced and may be made to hurt: libdw reserves 2 GiB for a register
 * with a high number, walks sections of any size, reads mapped files that may be cut short
 * meanwhile, and has had bugs.  So a worker process reads them, forked from the tool and shut in
 * (symbol/look.h: it can open no file and signal nobody, its memory is limited), which ends with
 * the tool.  It is given files as open descriptors and answers with a row of plain numbers, which
 * are checked like anything else that comes from outside.  When it dies another one is started, at
 * most BS_CFI_DEATHS times; a file over which BS_CFI_LOST of them died, or one took longer than
 * BS_CFI_PATIENCE_MS, is not asked about again.
 *
 * A question costs a round trip between two processes; unwind.c keeps the answers.  Who asks has
 * events to fetch: an answer that takes more than some ms is waited for only as long as an
 * allowance of 50 ms, filled up with a tenth of the time, lasts.  Then the worker is left with its
 * question, and others are told to come again, without waiting, until it has answered.
 */
#ifndef BS_UNWIND_CFI_H
#define BS_UNWIND_CFI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "unwind/unwind.h"

struct bs_error;
struct bs_cfi;

#define BS_CFI_PATIENCE_MS 2000
#define BS_CFI_DEATHS	   8u
#define BS_CFI_LOST	   2u
/* The trampoline of a signal handler has some 55, a PLT 11. */
#define BS_CFI_MAX_OPS 128u

/* Where the caller's value of a register is (DWARF 5, section 6.4.1). */
enum bs_cfi_how {
	BS_CFI_UNDEFINED = 0, /* nowhere; for rip: there is no caller */
	BS_CFI_SAME = 1,      /* unchanged */
	BS_CFI_AT_CFA = 2,    /* in memory at CFA + n */
	BS_CFI_CFA = 3,	      /* it is CFA + n */
	BS_CFI_REG = 4,	      /* it is that of register reg, + n; for the CFA too */
	BS_CFI_AT_EXPR = 5,   /* in memory where the expression says */
	BS_CFI_EXPR = 6,      /* it is what the expression says; for the CFA too */
};

struct bs_cfi_rule {
	uint8_t how;
	uint8_t reg;
	uint16_t nops; /* the expression: ops[n], ... */
	int32_t n;
};

/* One operation of an expression: DW_OP_*, DWARF 5, section 2.5. */
struct bs_cfi_op {
	uint64_t number;
	uint64_t atom;
};

struct bs_cfi_row {
	uint8_t signal; /* the caller was interrupted: its rip is no return address */
	struct bs_cfi_rule cfa;
	struct bs_cfi_rule reg[BS_UNWIND_NREGS];
};
_Static_assert(sizeof(struct bs_cfi_rule) == 8 && sizeof(struct bs_cfi_op) == 16,
	       "kept many times, sent between processes of one program");

int bs_cfi_new(struct bs_cfi **out, struct bs_error *err);
void bs_cfi_free(struct bs_cfi *c);

/*
 * The row for the instruction at a link-time address.  file: the caller's number of the file, never
 * used for another, below a million; fd: the file, debug_fd: its separate debug file, or -1, both
 * borrowed, and needed as long as questions are asked about the file.
 * *nops operations are stored in ops.
 * 0, -ENOENT (no CFI there, or none that can be used), -EAGAIN (the worker is busy: ask again),
 * -EIO (workers were lost: see above), -ENOMEM.
 */
int bs_cfi_ask(struct bs_cfi *c, uint32_t file, int fd, int debug_fd, uint64_t vaddr,
	       struct bs_cfi_row *row, struct bs_cfi_op ops[BS_CFI_MAX_OPS], size_t *nops);

struct bs_cfi_stats {
	uint64_t deaths;    /* workers that were lost */
	uint64_t late;	    /* questions that were told to come again */
	uint64_t waited_ns; /* for answers, in all */
};
void bs_cfi_stats(const struct bs_cfi *c, struct bs_cfi_stats *out);

/* For tests: the worker, -1 if there is none. */
int bs_cfi_test_pid(const struct bs_cfi *c);

/* --- between cfi.c, cfi_worker.c and step.c ----------------------------------------------------
 */

/* One message each way (SOCK_SEQPACKET); operations follow the answer.  A file comes with the first
 * question about it: fd, and debug_fd if there is one. */
struct bs_cfi_question {
	uint64_t vaddr;
	uint32_t file;
};

struct bs_cfi_answer {
	int32_t error; /* 0 or -errno */
	uint32_t nops;
	struct bs_cfi_row row;
};

/* What the worker does until the socket is closed. */
_Noreturn void bs_cfi_worker(int sock);

/* Is every number in it one that bs_cfi_step can use? */
bool bs_cfi_row_valid(const struct bs_cfi_row *row, size_t nops);

/*
 * From the registers in a frame to those in its caller.  row: bs_cfi_row_valid.
 * 0, -ENODATA (it needs memory that is not in the copy), -EINVAL (it needs a register that is not
 * known, or does what makes no sense).
 */
int bs_cfi_step(const struct bs_cfi_row *row, const struct bs_cfi_op *ops,
		const struct bs_unwind_stack *stack, const struct bs_unwind_regs *in,
		struct bs_unwind_regs *out);

#endif
