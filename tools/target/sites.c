// SPDX-License-Identifier: GPL-2.0-only
/* sites.c - the table of all sites of a run. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "target/filter.h"
#include "target/module.h"
#include "target/sites.h"

/* Open addressing; a value is a number that starts at 1, 0 is free. */
struct index {
	uint32_t *slots;
	size_t size; /* power of two or 0 */
	size_t used;
};

struct place {
	struct bs_place p;
	uint64_t hash;
	uint64_t *addresses;
	size_t room;
};

struct klass {
	const char *name;
	uint64_t hash;
};

/* Elements at 0 are not used: numbers start at 1. */
struct bs_sites {
	struct bs_expansion *sites;
	size_t nsites, sites_room;
	struct place *places;
	size_t nplaces, places_room;
	struct klass *classes;
	size_t nclasses, classes_room;
	struct index by_place, by_class;
};

/* FNV-1a, 64 bit: http://www.isthe.com/chongo/tech/comp/fnv/ */
#define FNV_START 0xcbf29ce484222325ull

static uint64_t hash_bytes(uint64_t h, const void *data, size_t n)
{
	const unsigned char *p = data;

	while (n--)
		h = (h ^ *p++) * 0x100000001b3ull;
	return h;
}

/* With its terminator, so that neighbours do not run into each other. */
static uint64_t hash_string(uint64_t h, const char *s)
{
	return hash_bytes(h, s, strlen(s) + 1);
}

static int grow(void **v, size_t n, size_t *room, size_t size)
{
	size_t more = *room ? *room * 2 : 16;
	void *p;

	if (n < *room)
		return 0;
	p = realloc(*v, more * size);
	if (!p)
		return -ENOMEM;
	*v = p;
	*room = more;
	return 0;
}

struct bs_sites *bs_sites_new(void)
{
	return calloc(1, sizeof(struct bs_sites));
}

void bs_sites_free(struct bs_sites *s)
{
	if (!s)
		return;
	for (size_t i = 1; i <= s->nplaces; i++)
		free(s->places[i].addresses);
	free(s->places);
	free(s->classes);
	free(s->sites);
	free(s->by_place.slots);
	free(s->by_class.slots);
	free(s);
}

/* Twice the room; hash_of gives the hash of a number that is in the index. */
static int index_grow(const struct bs_sites *s, struct index *x,
		      uint64_t (*hash_of)(const struct bs_sites *s, uint32_t number))
{
	size_t size = x->size ? x->size * 2 : 64;
	uint32_t *slots;

	if (x->used * 2 < x->size)
		return 0;
	slots = calloc(size, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < x->size; i++) {
		size_t at;

		if (!x->slots[i])
			continue;
		at = hash_of(s, x->slots[i]) & (size - 1);
		while (slots[at])
			at = (at + 1) & (size - 1);
		slots[at] = x->slots[i];
	}
	free(x->slots);
	x->slots = slots;
	x->size = size;
	return 0;
}

static uint64_t class_hash(const struct bs_sites *s, uint32_t n)
{
	return s->classes[n].hash;
}

static uint64_t place_hash(const struct bs_sites *s, uint32_t n)
{
	return s->places[n].hash;
}

static int class_number(struct bs_sites *s, const char *name, uint32_t *number)
{
	uint64_t hash = hash_string(FNV_START, name);
	size_t at;

	if (grow((void **)&s->classes, s->nclasses + 1, &s->classes_room, sizeof(*s->classes)) ||
	    index_grow(s, &s->by_class, class_hash))
		return -ENOMEM;
	for (at = hash & (s->by_class.size - 1); s->by_class.slots[at];
	     at = (at + 1) & (s->by_class.size - 1)) {
		const struct klass *k = &s->classes[s->by_class.slots[at]];

		if (k->hash == hash && !strcmp(k->name, name)) {
			*number = s->by_class.slots[at];
			return 0;
		}
	}
	*number = (uint32_t)++s->nclasses;
	s->classes[*number] = (struct klass){name, hash};
	s->by_class.slots[at] = *number;
	s->by_class.used++;
	return 0;
}

static bool same_place(const struct bs_place *p, const struct bs_module *m,
		       const struct bs_site *site, uint32_t klass_id)
{
	return p->kind == site->kind && p->line == site->line && p->klass_id == klass_id &&
	       !strcmp(p->name, site->name) && !strcmp(p->file, site->file) &&
	       !strcmp(p->binary, m->path);
}

static int place_number(struct bs_sites *s, const struct bs_module *m, const struct bs_site *site,
			uint32_t *number)
{
	uint32_t klass_id;
	uint64_t hash;
	struct place *p;
	size_t at;

	if (class_number(s, site->klass, &klass_id) ||
	    grow((void **)&s->places, s->nplaces + 1, &s->places_room, sizeof(*s->places)) ||
	    index_grow(s, &s->by_place, place_hash))
		return -ENOMEM;
	hash = hash_bytes(FNV_START, &klass_id, sizeof(klass_id));
	hash = hash_bytes(hash, &site->kind, sizeof(site->kind));
	hash = hash_bytes(hash, &site->line, sizeof(site->line));
	hash = hash_string(hash, site->name);
	hash = hash_string(hash, site->file);
	hash = hash_string(hash, m->path);
	for (at = hash & (s->by_place.size - 1); s->by_place.slots[at];
	     at = (at + 1) & (s->by_place.size - 1)) {
		p = &s->places[s->by_place.slots[at]];
		if (p->hash == hash && same_place(&p->p, m, site, klass_id)) {
			*number = s->by_place.slots[at];
			return 0;
		}
	}
	*number = (uint32_t)++s->nplaces;
	p = &s->places[*number];
	memset(p, 0, sizeof(*p));
	p->hash = hash;
	p->p.binary = m->path;
	p->p.klass = s->classes[klass_id].name;
	p->p.name = site->name;
	p->p.file = site->file;
	p->p.line = site->line;
	p->p.klass_id = klass_id;
	p->p.kind = site->kind;
	p->p.flags = site->flags;
	s->by_place.slots[at] = *number;
	s->by_place.used++;
	return 0;
}

static int add_one(struct bs_sites *s, const struct bs_module *m, const struct bs_site *site,
		   bool chosen)
{
	struct bs_expansion *e;
	struct place *p;
	uint32_t number;

	if (s->nsites >= UINT32_MAX - 1 ||
	    grow((void **)&s->sites, s->nsites + 1, &s->sites_room, sizeof(*s->sites)) ||
	    place_number(s, m, site, &number))
		return -ENOMEM;
	p = &s->places[number];
	if (grow((void **)&p->addresses, p->p.naddresses, &p->room, sizeof(*p->addresses)))
		return -ENOMEM;
	p->addresses[p->p.naddresses++] = site->probe_vaddr;
	p->p.addresses = p->addresses;
	p->p.lit |= chosen;
	if (!p->p.function)
		p->p.function = site->function;
	e = &s->sites[++s->nsites];
	*e = (struct bs_expansion){
		.module = m,
		.site = site,
		.place = number,
		.klass_id = p->p.klass_id,
		.kind = site->kind,
		.flags = site->flags,
		.nargs = site->nargs,
		.chosen = chosen,
	};
	return 0;
}

int bs_sites_add(struct bs_sites *s, const struct bs_module *m, const struct bs_filter *f,
		 uint32_t *first, uint32_t *n)
{
	*first = (uint32_t)s->nsites + 1;
	*n = 0;
	for (size_t i = 0; i < m->nsites; i++) {
		int ret = add_one(s, m, &m->sites[i], bs_filter_match(f, &m->sites[i]));

		if (ret)
			return ret;
		(*n)++;
	}
	return 0;
}

uint32_t bs_sites_count(const struct bs_sites *s)
{
	return (uint32_t)s->nsites;
}

uint32_t bs_places_count(const struct bs_sites *s)
{
	return (uint32_t)s->nplaces;
}

uint32_t bs_classes_count(const struct bs_sites *s)
{
	return (uint32_t)s->nclasses;
}

const struct bs_expansion *bs_sites_get(const struct bs_sites *s, uint32_t index)
{
	return index && index <= s->nsites ? &s->sites[index] : NULL;
}

const struct bs_place *bs_places_get(const struct bs_sites *s, uint32_t place)
{
	return place && place <= s->nplaces ? &s->places[place].p : NULL;
}

const char *bs_classes_get(const struct bs_sites *s, uint32_t klass_id)
{
	return klass_id && klass_id <= s->nclasses ? s->classes[klass_id].name : NULL;
}
