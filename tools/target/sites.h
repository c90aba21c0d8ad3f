/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sites.h - the table of all sites of a run: numbers each expansion (index) and each place in
 * the source (place), and knows which are lit.
 *
 * A place is (binary, kind, class, file, line, name): what a person calls a site; inlining
 * and templates give it several expansions.  Indexes, places and classes are dense and start
 * at 1; 0 means none.  Not thread-safe.
 */
#ifndef BS_TARGET_SITES_H
#define BS_TARGET_SITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bs_filter;
struct bs_module;
struct bs_site;
struct bs_sites;

struct bs_place {
	const char *binary; /* path of the module */
	const char *klass;
	const char *name;
	const char *file;
	const char *function; /* of the first expansion; NULL if unknown */
	uint32_t line;
	uint32_t klass_id;
	uint8_t kind;
	uint8_t flags;
	bool lit;		   /* chosen by the filter; the others stay no-ops */
	const uint64_t *addresses; /* link-time addresses of the expansions */
	size_t naddresses;
};

/* What decoding an event needs is here itself. */
struct bs_expansion {
	const struct bs_module *module;
	const struct bs_site *site;
	uint32_t place;
	uint32_t klass_id;
	uint8_t kind, flags, nargs; /* as in site */
	bool chosen;
};

struct bs_sites *bs_sites_new(void);
void bs_sites_free(struct bs_sites *s);

/*
 * Adds all sites of a module (borrowed: must outlive the table); those that the filter
 * matches are chosen.  *first, *n: the indexes given, first..first+n-1.  0 or -ENOMEM.
 */
int bs_sites_add(struct bs_sites *s, const struct bs_module *m, const struct bs_filter *f,
		 uint32_t *first, uint32_t *n);

uint32_t bs_sites_count(const struct bs_sites *s);  /* highest index */
uint32_t bs_places_count(const struct bs_sites *s); /* highest place */
uint32_t bs_classes_count(const struct bs_sites *s);
/* Borrowed; NULL when out of range.  Pointers to places are valid until the next add. */
const struct bs_expansion *bs_sites_get(const struct bs_sites *s, uint32_t index);
const struct bs_place *bs_places_get(const struct bs_sites *s, uint32_t place);
const char *bs_classes_get(const struct bs_sites *s, uint32_t klass_id);

/* The spelling of a kind in reports and in -f ("resize_begin"), NULL if there is no such kind. */
const char *bs_kind_name(unsigned kind);
/* The kind of a spelling, 0 if there is none. */
unsigned bs_kind_find(const char *name);

#endif
