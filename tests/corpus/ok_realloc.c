/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ok_realloc.c - a buffer that grows to a megabyte and moves on its way; a resize that fails; and
 * others at the addresses that it left.
 *
 * expect: nothing
 */
#include <stdint.h>

#include "common.h"

struct buf {
	char *data;
	size_t size;
};

/* False: as before. */
static int resize(struct buf *b, size_t size)
{
	char *p;

	BSCOPE_RESIZE_BEGIN(buf, b->data);
	p = size < SIZE_MAX / 4 ? realloc(b->data, size) : NULL;
	if (p) {
		b->data = p;
		b->size = size;
	}
	BSCOPE_RESIZE_END(buf, b->data, b->size);
	return p != NULL;
}

static void drop(struct buf *b)
{
	BSCOPE_DROP(buf, b->data);
	free(b->data);
}

static int make(struct buf *b)
{
	b->size = 16;
	b->data = malloc(b->size);
	if (!b->data)
		return 0;
	BSCOPE_NEW_SIZED(buf, b->data, b->size);
	return 1;
}

int main(void)
{
	struct buf b, others[16];
	int n = 0;

	wait_for_go();
	if (!make(&b))
		return 1;
	BSCOPE_RETAIN(buf, b.data);
	BSCOPE_BORROW(buf, b.data, &b);
	for (size_t size = 32; size <= 1 << 20; size *= 2) {
		if (!resize(&b, size) || !make(&others[n++]))
			return 1;
		BSCOPE_USE(buf, b.data, &b);
	}
	if (resize(&b, SIZE_MAX / 2))
		return 1;
	while (n)
		drop(&others[--n]);
	BSCOPE_UNBORROW(buf, b.data, &b);
	BSCOPE_RELEASE(buf, b.data);
	BSCOPE_RELEASE(buf, b.data);
	drop(&b);
	return 0;
}
