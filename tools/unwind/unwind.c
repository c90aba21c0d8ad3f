// SPDX-License-Identifier: GPL-2.0-only
/*
 * unwind.c - the walk, and the rows of call frame information that it has been told.
 *
 * Programs return to few addresses again and again.  A row is kept under its (file, address),
 * which all processes share, and found by (space, address), so that a step costs one look into a
 * table.  That there is none is kept as well.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "symbol/index.h"
#include "unwind/cfi.h"
#include "unwind/spaces.h"
#include "unwind/unwind.h"

/* Bounds what a program can do that makes up addresses: then all is forgotten. */
#define MAX_ROWS  (1u << 17)
#define MAX_CACHE (1u << 20)

/* The order is that of the numbers of rows. */
enum {
	ROW_NONE = 1,  /* no CFI */
	ROW_ENTRY = 2, /* no CFI, but where programs begin */
	ROW_LATE = 3,  /* nobody could tell just now; not kept */
	ROW_FIRST = 4,
};

struct row {
	struct bs_cfi_row cfi;
	struct bs_cfi_op *ops; /* NULL: it has no expressions */
};

struct bs_unwind {
	struct bs_cfi *cfi;
	struct bs_spaces *spaces;
	struct row **rows;	 /* from ROW_FIRST */
	size_t nrows;		 /* the next number */
	struct bs_index by_file; /* (file, vaddr) -> row */
	struct bs_index cache;	 /* (space, address) -> row */
	uint64_t asked;
};

int bs_unwind_new(struct bs_unwind **out, uint64_t now_ns, struct bs_error *err)
{
	struct bs_unwind *u;
	int ret;

	*out = NULL;
#if !defined(__x86_64__)
	return bs_error_set(err, -ENOTSUP, "--call-graph=dwarf is for x86-64: use --call-graph=fp");
#endif
	u = calloc(1, sizeof(*u));
	if (!u)
		return bs_error_set(err, -ENOMEM, "out of memory");
	u->nrows = ROW_FIRST;
	ret = bs_cfi_new(&u->cfi, err);
	if (ret) {
		bs_unwind_free(u);
		return ret;
	}
	u->spaces = bs_spaces_new(now_ns);
	u->rows = malloc(MAX_ROWS * sizeof(*u->rows));
	if (!u->spaces || !u->rows) {
		bs_unwind_free(u);
		return bs_error_set(err, -ENOMEM, "out of memory");
	}
	*out = u;
	return 0;
}

static void forget_rows(struct bs_unwind *u)
{
	for (size_t i = ROW_FIRST; i < u->nrows; i++) {
		free(u->rows[i]->ops);
		free(u->rows[i]);
	}
	u->nrows = ROW_FIRST;
	bs_index_fini(&u->by_file);
	bs_index_fini(&u->cache);
}

void bs_unwind_free(struct bs_unwind *u)
{
	if (!u)
		return;
	forget_rows(u);
	free(u->rows);
	bs_spaces_free(u->spaces);
	bs_cfi_free(u->cfi);
	free(u);
}

void bs_unwind_tick(struct bs_unwind *u, uint64_t now_ns)
{
	bs_spaces_tick(u->spaces, now_ns);
}

void bs_unwind_invalidate(struct bs_unwind *u, uint32_t pid)
{
	bs_spaces_invalidate(u->spaces, pid);
}

void bs_unwind_fork(struct bs_unwind *u, uint32_t parent, uint32_t child)
{
	bs_spaces_fork(u->spaces, parent, child);
}

void bs_unwind_stats(const struct bs_unwind *u, struct bs_unwind_stats *out)
{
	struct bs_cfi_stats cfi;

	bs_cfi_stats(u->cfi, &cfi);
	out->asked = u->asked;
	out->deaths = cfi.deaths;
	out->late = cfi.late;
	out->waited_ns = cfi.waited_ns;
	out->full = bs_spaces_full(u->spaces);
}

static uint32_t row_add(struct bs_unwind *u, const struct bs_cfi_row *cfi,
			const struct bs_cfi_op *ops, size_t nops)
{
	struct row *row = calloc(1, sizeof(*row));

	if (row && nops)
		row->ops = malloc(nops * sizeof(*ops));
	if (!row || (nops && !row->ops)) {
		free(row);
		return 0;
	}
	row->cfi = *cfi;
	if (nops)
		memcpy(row->ops, ops, nops * sizeof(*ops));
	u->rows[u->nrows] = row;
	return (uint32_t)u->nrows++;
}

/* The number of the row, asked for.  0 when out of memory. */
static uint32_t ask(struct bs_unwind *u, const struct bs_place *at)
{
	struct bs_cfi_op ops[BS_CFI_MAX_OPS];
	struct bs_cfi_row cfi;
	int fd, debug_fd, ret;
	size_t nops;

	bs_spaces_fds(u->spaces, at->file, &fd, &debug_fd);
	u->asked++;
	ret = bs_cfi_ask(u->cfi, at->file, fd, debug_fd, at->vaddr, &cfi, ops, &nops);
	if (!ret)
		return row_add(u, &cfi, ops, nops);
	if (ret == -EAGAIN)
		return ROW_LATE;
	return at->entry ? ROW_ENTRY : ROW_NONE;
}

/* The number of the row for the instruction at addr; 0 when out of memory. */
static uint32_t row_find(struct bs_unwind *u, uint32_t pid, uint64_t addr)
{
	uint32_t space = bs_spaces_current(u->spaces, pid);
	uint32_t number = space ? bs_index_find(&u->cache, space, addr) : 0;
	struct bs_place at;

	if (number)
		return number;
	if (!bs_spaces_find(u->spaces, pid, addr, &at))
		return ROW_NONE;
	number = bs_index_find(&u->by_file, at.file, at.vaddr);
	if (!number) {
		if (u->nrows == MAX_ROWS || u->by_file.used >= MAX_CACHE)
			forget_rows(u);
		number = ask(u, &at);
		if (!number || number == ROW_LATE ||
		    bs_index_set(&u->by_file, at.file, at.vaddr, number))
			return number;
	}
	if (u->cache.used >= MAX_CACHE)
		bs_index_fini(&u->cache);
	/* Without its entry it is only slower. */
	bs_index_set(&u->cache, at.space, addr, number);
	return number;
}

/*
 * One step, in place.  0, or 1 and *end.  exact: rip is that of an instruction that has not been
 * executed yet, not one behind a call.
 */
static int step(struct bs_unwind *u, uint32_t pid, const struct bs_unwind_stack *stack,
		struct bs_unwind_regs *regs, bool *exact, enum bs_unwind_end *end)
{
	uint64_t rip = regs->v[BS_UNWIND_RIP];
	/* A call may be the last instruction of its function. */
	uint32_t number = row_find(u, pid, *exact ? rip : rip - 1);
	struct bs_unwind_regs caller;
	const struct row *row;
	int ret;

	*end = BS_UNWIND_NO_CFI;
	if (number == ROW_ENTRY)
		*end = BS_UNWIND_COMPLETE;
	if (number < ROW_FIRST)
		return 1;
	row = u->rows[number];
	*end = BS_UNWIND_COMPLETE;
	if (row->cfi.reg[BS_UNWIND_RIP].how == BS_CFI_UNDEFINED)
		return 1;
	ret = bs_cfi_step(&row->cfi, row->ops, stack, regs, &caller);
	*end = ret == -ENODATA ? BS_UNWIND_TRUNCATED : BS_UNWIND_BROKEN;
	/* A call has pushed something; only a signal can have moved to another stack. */
	if (ret || (!row->cfi.signal && caller.v[BS_UNWIND_RSP] <= regs->v[BS_UNWIND_RSP]))
		return 1;
	*regs = caller;
	*exact = row->cfi.signal;
	/* "the end of the frame chain" of the ABI, which libraries written by hand push. */
	*end = BS_UNWIND_COMPLETE;
	return !caller.v[BS_UNWIND_RIP];
}

size_t bs_unwind(struct bs_unwind *u, uint32_t pid, const struct bs_unwind_regs *regs,
		 const struct bs_unwind_stack *stack, uint64_t *out, size_t max,
		 enum bs_unwind_end *end)
{
	struct bs_unwind_regs at = *regs;
	bool exact = true;
	size_t n = 0;

	out[n++] = at.v[BS_UNWIND_RIP];
	while (!step(u, pid, stack, &at, &exact, end)) {
		if (n == max) {
			*end = BS_UNWIND_DEEP;
			break;
		}
		out[n++] = at.v[BS_UNWIND_RIP] + exact;
	}
	return n;
}
