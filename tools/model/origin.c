/* SPDX-License-Identifier: GPL-2.0-only */
/* origin.c - numbers the (class, place, caller) that objects come from. */
#include "model/state.h"

#include <stdlib.h>
#include <string.h>

/* The high bits of the product, which depend on all that went in. */
static uint32_t origin_hash(const struct bs_origins *o, uint32_t klass, uint32_t place,
			    uint32_t code)
{
	uint64_t in = ((uint64_t)place << 32 | code) + klass * 0xd6e8feb86659fd93ull;

	return (uint32_t)((in * 0x9e3779b97f4a7c15ull) >> o->shift);
}

static uint32_t mask_of(const struct bs_origins *o)
{
	return UINT32_MAX >> (o->shift - 32);
}

static void index_put(struct bs_origins *o, uint32_t origin)
{
	const struct bs_origin *g = &o->v[origin];
	uint32_t i = origin_hash(o, g->klass, g->place, g->code);

	while (o->index[i])
		i = (i + 1) & mask_of(o);
	o->index[i] = origin + 1;
}

static int origins_grow(struct bs_origins *o)
{
	uint32_t cap = o->cap ? o->cap * 2 : 64;
	struct bs_origin *v;
	uint32_t *index;

	if (cap > UINT32_MAX / 4)
		return -1;
	v = realloc(o->v, cap * sizeof(*v));
	if (!v)
		return -1;
	o->v = v;
	index = calloc(cap * (size_t)2, sizeof(*index));
	if (!index)
		return -1;
	free(o->index);
	o->index = index;
	o->shift = (uint8_t)(64 - __builtin_ctz(cap * 2));
	o->cap = cap;
	for (uint32_t i = 0; i < o->n; i++)
		index_put(o, i);
	return 0;
}

uint32_t bs_origin_find(const struct bs_origins *o, uint32_t klass, uint32_t place, uint32_t code)
{
	uint32_t i, mask;

	if (!o->index)
		return UINT32_MAX;
	mask = mask_of(o);
	for (i = origin_hash(o, klass, place, code); o->index[i]; i = (i + 1) & mask) {
		const struct bs_origin *g = &o->v[o->index[i] - 1];

		if (g->place == place && g->code == code && g->klass == klass)
			return o->index[i] - 1;
	}
	return UINT32_MAX;
}

/* Kept apart, so that finding one stays short. */
static __attribute__((noinline)) uint32_t origin_add(struct bs_origins *o, uint32_t klass,
						     uint32_t place, uint32_t code)
{
	if (o->n == o->cap && origins_grow(o))
		return UINT32_MAX;
	memset(&o->v[o->n], 0, sizeof(*o->v));
	o->v[o->n].klass = klass;
	o->v[o->n].place = place;
	o->v[o->n].code = code;
	index_put(o, o->n);
	return o->n++;
}

uint32_t bs_origin_intern(struct bs_origins *o, uint32_t klass, uint32_t place, uint32_t code)
{
	uint32_t known = bs_origin_find(o, klass, place, code);

	return known != UINT32_MAX ? known : origin_add(o, klass, place, code);
}

void bs_origins_fini(struct bs_origins *o)
{
	for (uint32_t i = 0; i < o->n; i++) {
		bs_series_fini(&o->v[i].series);
		free(o->v[i].sample);
		if (o->v[i].lifetime)
			bs_hist_fini(o->v[i].lifetime);
		free(o->v[i].lifetime);
	}
	free(o->v);
	free(o->index);
	memset(o, 0, sizeof(*o));
}
