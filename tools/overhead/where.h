/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * where.h - is an address of a program's code what tracking costs?  By the file: lit sites, their
 * stubs, and the part of the runtime that only stubs call.
 */
#ifndef BS_OVERHEAD_WHERE_H
#define BS_OVERHEAD_WHERE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bs_module;
struct bs_stub;

enum bs_where {
	BS_WHERE_PROGRAM = 0, /* the program's own */
	BS_WHERE_SITE = 1,    /* at a site that is lit: its trap, or its jump */
	BS_WHERE_STUB = 2,
	BS_WHERE_RECORD = 3, /* in the runtime, which records */
};

/* A module's sites by their stubs.  m and stubs are borrowed. */
struct bs_wheres {
	const struct bs_module *m;
	const struct bs_stub *stubs; /* target/jump.h; in the order of m->sites */
	uint32_t *by_stub;	     /* numbers of sites, in the order of their stubs' addresses */
	size_t n;
};

/* 0 or -ENOMEM. */
int bs_wheres_init(struct bs_wheres *w, const struct bs_module *m, const struct bs_stub *stubs);
void bs_wheres_fini(struct bs_wheres *w);

/*
 * Where a thread was, at a link-time address, in the program or by way of it in the kernel.
 * chosen: the sites that are lit, in the order of m->sites, NULL: none; traps: the process is lit
 * by traps, else by jumps.  *site: number of the site in m->sites, for all but BS_WHERE_RECORD and
 * BS_WHERE_PROGRAM.
 *
 * A trap is met at the probe, and left for the instruction behind it (the nop is not executed): an
 * interrupt that comes while the kernel lets none in is taken there.  A jump stands behind the
 * probe.  Sites that no jump can light have traps in both.
 */
enum bs_where bs_where(const struct bs_wheres *w, const bool *chosen, bool traps, uint64_t vaddr,
		       size_t *site);

/* The site into whose stub a return address leads: behind its call.  False if there is none. */
bool bs_where_returns(const struct bs_wheres *w, uint64_t vaddr, size_t *site);

#endif
