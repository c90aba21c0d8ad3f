/* SPDX-License-Identifier: GPL-2.0-only */
/* origin.c - numbers the (class, place, caller) that objects come from. */
#include "model/state.h"

#include <stdlib.h>
#include <string.h>

static uint32_t mask_of(const struct bs_origins *o)
{
	return UINT32_MAX >> (o->shift - 32);
}

static void index_put(struct bs_origins *o, uint32_t origin)
{
	const struct bs_origin *g = &o->v[origin];
	uint64_t at = bs_origin_at(g->place, g->code);
	uint32_t i = bs_origin_hash(o, g->klass, at);

	while (o->index[i].origin)
		i = (i + 1) & mask_of(o);
	o->index[i] = (struct bs_origin_key){.at = at, .klass = g->klass, .origin = origin + 1};
}

static int origins_grow(struct bs_origins *o)
{
	uint32_t cap = o->cap ? o->cap * 2 : 64;
	struct bs_origin_key *index;
	struct bs_origin *v;

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

uint32_t bs_origin_search(const struct bs_origins *o, uint32_t klass, uint64_t at, uint32_t i)
{
	for (; o->index[i].origin; i = (i + 1) & mask_of(o))
		if (o->index[i].at == at && o->index[i].klass == klass)
			return o->index[i].origin - 1;
	return UINT32_MAX;
}

uint32_t bs_origin_add(struct bs_origins *o, uint32_t klass, uint32_t place, uint32_t code)
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
