// SPDX-License-Identifier: GPL-2.0-only
/*
 * fuzz_unwind.c - one step of a walk with rows, expressions, registers and stacks of any kind: the
 * worker that answers with rows is not trusted either.
 *
 * The input: a row as it is in memory, how many operations, the operations, registers, the rest is
 * the stack.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "unwind/cfi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *in;
static size_t left;

/* What the input has not is 0. */
static void take(void *to, size_t bytes)
{
	size_t n = bytes < left ? bytes : left;

	memset(to, 0, bytes);
	memcpy(to, in, n);
	in += n;
	left -= n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bs_cfi_op *ops;
	struct bs_cfi_row row;
	struct bs_unwind_regs regs, caller;
	struct bs_unwind_stack stack;
	uint8_t nops;

	in = data;
	left = size;
	take(&row, sizeof(row));
	take(&nops, sizeof(nops));
	if (!bs_cfi_row_valid(&row, nops))
		return 0;
	/* Exactly as many, so that a sanitizer sees a step too far. */
	ops = malloc(nops * sizeof(*ops) + 1);
	if (!ops)
		return 0;
	take(ops, nops * sizeof(*ops));
	take(&regs, sizeof(regs));
	stack.start = regs.v[BS_UNWIND_RSP] - left % 129;
	stack.bytes = in;
	stack.size = left;
	for (int i = 0; i < 64; i++) {
		int ret = bs_cfi_step(&row, ops, &stack, &regs, &caller);

		if (ret && ret != -ENODATA && ret != -EINVAL)
			abort();
		if (ret)
			break;
		if (~caller.known & (1u << BS_UNWIND_RIP | 1u << BS_UNWIND_RSP))
			abort();
		regs = caller;
	}
	free(ops);
	return 0;
}
