// SPDX-License-Identifier: GPL-2.0-only
/* stacks.c - a table of distinct stacks: entries by number, and a hash table that finds them. */
#include "decode/stacks.h"

#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 4096u
#define SLOTS	  (2 * BS_STACKS_MAX) /* a power of two */
/* A wrapper may hand the caller down to functions of its own. */
#define NEAR 8u

struct bs_stacks {
	struct bs_stack *v; /* from 1 */
	uint32_t n, room;
	uint32_t *slots; /* number of a stack, 0: free */
	char **names;	 /* from 1 */
	uint32_t nnames;
	uint64_t beyond;
};

struct bs_stacks *bs_stacks_new(void)
{
	struct bs_stacks *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->slots = calloc(SLOTS, sizeof(*s->slots));
	s->names = calloc(NAMES_MAX + 1, sizeof(*s->names));
	if (!s->slots || !s->names) {
		bs_stacks_free(s);
		return NULL;
	}
	return s;
}

void bs_stacks_free(struct bs_stacks *s)
{
	if (!s)
		return;
	for (uint32_t i = 1; i <= s->n; i++)
		free((void *)s->v[i].codes);
	for (uint32_t i = 1; i <= s->nnames; i++)
		free(s->names[i]);
	free(s->v);
	free(s->slots);
	free(s->names);
	free(s);
}

uint32_t bs_stacks_name(struct bs_stacks *s, const char *name)
{
	/* Few, and the latest comes again and again. */
	for (uint32_t i = s->nnames; i; i--)
		if (!strcmp(s->names[i], name))
			return i;
	if (s->nnames == NAMES_MAX)
		return 0;
	s->names[s->nnames + 1] = strdup(name);
	return s->names[s->nnames + 1] ? ++s->nnames : 0;
}

const char *bs_stacks_name_get(const struct bs_stacks *s, uint32_t name)
{
	return name && name <= s->nnames ? s->names[name] : "?";
}

/* FNV-1a by words, and the finalizer of MurmurHash3. */
static uint32_t hash_of(const struct bs_stack *k)
{
	uint64_t h = 0xcbf29ce484222325ull ^ ((uint64_t)k->name << 8 | k->flags);

	for (uint32_t i = 0; i < k->n; i++)
		h = (h ^ k->codes[i]) * 0x100000001b3ull;
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdull;
	return (uint32_t)(h >> 32);
}

static bool same(const struct bs_stack *a, const struct bs_stack *b)
{
	return a->n == b->n && a->name == b->name && a->flags == b->flags &&
	       !memcmp(a->codes, b->codes, a->n * sizeof(*a->codes));
}

/* The slot of the same stack, or the free one where it belongs; half of them are free. */
static uint32_t *slot_of(struct bs_stacks *s, const struct bs_stack *key)
{
	uint32_t at = hash_of(key) % SLOTS;

	while (s->slots[at] && !same(&s->v[s->slots[at]], key))
		at = (at + 1) % SLOTS;
	return &s->slots[at];
}

/* Copied; NULL if there is no room. */
static struct bs_stack *add(struct bs_stacks *s, const struct bs_stack *key)
{
	uint32_t *codes;

	if (s->n == BS_STACKS_MAX)
		return NULL;
	if (s->n + 1 >= s->room) {
		uint32_t room = s->room ? 2 * s->room : 256;
		struct bs_stack *v = reallocarray(s->v, room, sizeof(*v));

		if (!v)
			return NULL;
		s->v = v;
		s->room = room;
	}
	codes = malloc(key->n * sizeof(*codes));
	if (!codes)
		return NULL;
	memcpy(codes, key->codes, key->n * sizeof(*codes));
	s->v[++s->n] = *key;
	s->v[s->n].codes = codes;
	return &s->v[s->n];
}

static struct bs_stack *get(struct bs_stacks *s, const struct bs_stack *key)
{
	uint32_t *slot = slot_of(s, key);
	struct bs_stack *k = *slot ? &s->v[*slot] : add(s, key);

	if (k)
		*slot = (uint32_t)(k - s->v);
	else
		s->beyond++;
	return k;
}

static uint32_t number_of(const struct bs_stacks *s, const struct bs_stack *k)
{
	return k ? BS_STACK_BIT | (uint32_t)(k - s->v) : 0;
}

uint32_t bs_stacks_intern(struct bs_stacks *s, uint32_t name, const uint32_t *codes, uint32_t n,
			  uint8_t flags)
{
	struct bs_stack key = {.codes = codes, .n = n, .name = name, .flags = flags};

	return n && n <= BS_STACK_FRAMES ? number_of(s, get(s, &key)) : 0;
}

static struct bs_stack *find(const struct bs_stacks *s, uint32_t stack)
{
	uint32_t number = stack & ~BS_STACK_BIT;

	return bs_is_stack(stack) && number && number <= s->n ? &s->v[number] : NULL;
}

static bool has_near(const struct bs_stack *k, uint32_t caller)
{
	for (uint32_t i = 1; i < k->n && i < NEAR; i++)
		if (k->codes[i] == caller)
			return true;
	return false;
}

/* The same with the caller behind the site. */
static struct bs_stack *insert(struct bs_stacks *s, const struct bs_stack *k, uint32_t caller)
{
	uint32_t codes[BS_STACK_FRAMES + 1], n = k->n;
	struct bs_stack key = {.codes = codes, .name = k->name, .flags = k->flags};

	codes[0] = k->codes[0];
	codes[1] = caller;
	memcpy(&codes[2], &k->codes[1], (n - 1) * sizeof(*codes));
	key.n = n + 1;
	return get(s, &key);
}

/*
 * The caller that a site says it has is one of the innermost frames, so that one stack has one
 * caller.  Where registers were not as they should be it is not.
 */
uint32_t bs_stacks_event(struct bs_stacks *s, uint32_t stack, uint32_t place, uint8_t kind,
			 uint32_t caller)
{
	struct bs_stack *k = find(s, stack);

	if (k && caller && k->caller != caller && !has_near(k, caller))
		k = insert(s, k, caller);
	if (!k)
		return caller;
	if (!k->caller)
		k->caller = caller;
	k->place = place;
	k->kind = kind;
	k->events++;
	return number_of(s, k);
}

const struct bs_stack *bs_stacks_get(const struct bs_stacks *s, uint32_t stack)
{
	return find(s, stack);
}

uint32_t bs_stacks_count(const struct bs_stacks *s)
{
	return s->n;
}

uint32_t bs_stacks_caller(const struct bs_stacks *s, uint32_t code)
{
	const struct bs_stack *k = find(s, code);

	return k ? k->caller : code;
}

uint64_t bs_stacks_beyond(const struct bs_stacks *s)
{
	return s->beyond;
}
