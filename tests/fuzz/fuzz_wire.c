// SPDX-License-Identifier: GPL-2.0-only
/* fuzz_wire.c - any bytes as what a process that looks names up has written, in pieces of any size.
 */
#include <stdlib.h>
#include <string.h>

#include "symbol/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int truth)
{
	if (!truth)
		abort();
}

/* What came out, so that it can be compared. */
struct seen {
	uint64_t sum;
	size_t n;
};

static void add(struct seen *s, uint64_t v)
{
	s->sum = (s->sum ^ v) * 0x100000001b3ull;
	s->n++;
}

static int address(void *ctx, uint32_t at, const struct bs_wire_found *f)
{
	add(ctx, at);
	must(f->n && f->n <= BS_DWARF_FRAMES);
	for (size_t i = 0; i < f->n; i++) {
		const struct bs_wire_frame *frame = &f->frames[i];

		must(frame->function[0] && strlen(frame->function) <= BS_WIRE_MAX_STRING);
		must(!frame->line || frame->file);
		must(!frame->file || strlen(frame->file) <= BS_WIRE_MAX_STRING);
		add(ctx, frame->line);
		add(ctx, strlen(frame->function));
	}
	/* A stranger's number of a file may be refused as well. */
	return at == 0xdeadbeef ? -1 : 0;
}

static int file(void *ctx, uint32_t at)
{
	add(ctx, at);
	return 0;
}

static int take(const uint8_t *data, size_t size, size_t piece, struct seen *seen)
{
	const struct bs_wire_ops ops = {address, file, seen};
	struct bs_wire w = {.ops = &ops};
	int ret = 0;

	memset(seen, 0, sizeof(*seen));
	for (size_t at = 0; at < size && !ret; at += piece)
		ret = bs_wire_take(&w, data + at, size - at < piece ? size - at : piece);
	bs_wire_fini(&w);
	return ret;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole, pieces;

	if (!size)
		return 0;
	must(take(data + 1, size - 1, size, &whole) ==
	     take(data + 1, size - 1, data[0] + 1u, &pieces));
	must(whole.sum == pieces.sum && whole.n == pieces.n);
	return 0;
}
