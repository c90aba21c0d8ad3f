// SPDX-License-Identifier: GPL-2.0-only
/* where.c - is an address of a program's code what tracking costs? */
#define _GNU_SOURCE
#include "overhead/where.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "target/jump.h"
#include "target/module.h"

#define PROBE_BYTES 1 /* the nop of a probe; include/bscope/site.h */

static int by_stub(const void *a, const void *b, void *ctx)
{
	const struct bs_site *sites = ctx;
	uint64_t x = sites[*(const uint32_t *)a].stub_vaddr;
	uint64_t y = sites[*(const uint32_t *)b].stub_vaddr;

	return x < y ? -1 : x > y;
}

int bs_wheres_init(struct bs_wheres *w, const struct bs_module *m, const struct bs_stub *stubs)
{
	memset(w, 0, sizeof(*w));
	w->m = m;
	w->stubs = stubs;
	w->by_stub = calloc(m->nsites ? m->nsites : 1, sizeof(*w->by_stub));
	if (!w->by_stub)
		return -ENOMEM;
	/* One whose stub is not as we know it is never lit by a jump. */
	for (size_t i = 0; i < m->nsites; i++)
		if (stubs[i].bytes)
			w->by_stub[w->n++] = (uint32_t)i;
	qsort_r(w->by_stub, w->n, sizeof(*w->by_stub), by_stub, m->sites);
	return 0;
}

void bs_wheres_fini(struct bs_wheres *w)
{
	free(w->by_stub);
	memset(w, 0, sizeof(*w));
}

/* The site whose stub holds the address; false if there is none. */
static bool in_stub(const struct bs_wheres *w, uint64_t vaddr, size_t *site)
{
	size_t low = 0, high = w->n;

	/* The last one that does not begin behind it. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (w->m->sites[w->by_stub[middle]].stub_vaddr <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return false;
	*site = w->by_stub[low - 1];
	return vaddr - w->m->sites[*site].stub_vaddr < w->stubs[*site].bytes;
}

/* Likewise, by its probe. */
static bool at_site(const struct bs_wheres *w, uint64_t vaddr, size_t *site, uint64_t *behind)
{
	size_t low = 0, high = w->m->nsites;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (w->m->sites[middle].probe_vaddr <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return false;
	*site = low - 1;
	*behind = vaddr - w->m->sites[*site].probe_vaddr;
	return *behind <= PROBE_BYTES;
}

enum bs_where bs_where(const struct bs_wheres *w, const bool *chosen, bool traps, uint64_t vaddr,
		       size_t *site)
{
	const struct bs_runtime *r = &w->m->runtime;
	uint64_t behind;

	if (vaddr >= r->code_vaddr && vaddr - r->code_vaddr < r->code_bytes)
		return BS_WHERE_RECORD;
	if (in_stub(w, vaddr, site))
		return BS_WHERE_STUB;
	if (!chosen || !at_site(w, vaddr, site, &behind) || !chosen[*site])
		return BS_WHERE_PROGRAM;
	if (traps || w->stubs[*site].why != BS_JUMP_OK || behind == PROBE_BYTES)
		return BS_WHERE_SITE;
	return BS_WHERE_PROGRAM;
}

bool bs_where_returns(const struct bs_wheres *w, uint64_t vaddr, size_t *site)
{
	/* A stub does not begin behind a call. */
	return in_stub(w, vaddr, site) && vaddr != w->m->sites[*site].stub_vaddr;
}
