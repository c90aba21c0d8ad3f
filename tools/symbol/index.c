// SPDX-License-Identifier: GPL-2.0-only
/* index.c - a hash table from two numbers to a third that is not 0: open addressing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "symbol/index.h"

/* The finalizer of MurmurHash3, which spreads each bit of the key over all of the result. */
static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdull;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ull;
	return x ^ x >> 33;
}

/* The slot that holds the key, or the free one where it belongs; there is always a free one. */
static struct bs_index_slot *slot_of(struct bs_index_slot *slots, size_t size, uint64_t a,
				     uint64_t b)
{
	size_t at = mix(a ^ mix(b)) & (size - 1);

	while (slots[at].value && (slots[at].a != a || slots[at].b != b))
		at = (at + 1) & (size - 1);
	return &slots[at];
}

uint32_t bs_index_find(const struct bs_index *t, uint64_t a, uint64_t b)
{
	return t->size ? slot_of(t->slots, t->size, a, b)->value : 0;
}

static int grow(struct bs_index *t)
{
	size_t size = t->size ? t->size * 2 : 64;
	struct bs_index_slot *slots;

	if ((t->used + 1) * 4 <= t->size * 3)
		return 0;
	slots = calloc(size, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < t->size; i++)
		if (t->slots[i].value)
			*slot_of(slots, size, t->slots[i].a, t->slots[i].b) = t->slots[i];
	free(t->slots);
	t->slots = slots;
	t->size = size;
	return 0;
}

int bs_index_set(struct bs_index *t, uint64_t a, uint64_t b, uint32_t value)
{
	struct bs_index_slot *slot;

	if (grow(t))
		return -ENOMEM;
	slot = slot_of(t->slots, t->size, a, b);
	if (!slot->value)
		t->used++;
	*slot = (struct bs_index_slot){a, b, value};
	return 0;
}

void bs_index_fini(struct bs_index *t)
{
	free(t->slots);
	memset(t, 0, sizeof(*t));
}
