// SPDX-License-Identifier: GPL-2.0-only
/* asks.c - the addresses that a picture wants names for, each once. */
#define _GNU_SOURCE
#include "bscope-trace/asks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Codes are dense. */
static int known_grow(struct bs_asks *a, uint32_t code)
{
	size_t n = a->nknown ? a->nknown : 1024;
	uint8_t *grown;

	while (n <= code)
		n *= 2;
	grown = realloc(a->known, n);
	if (!grown)
		return -ENOMEM;
	memset(&grown[a->nknown], 0, n - a->nknown);
	a->known = grown;
	a->nknown = n;
	return 0;
}

int bs_asks_add(struct bs_asks *a, uint32_t code, bool is_return)
{
	uint8_t bit = (uint8_t)(1u << is_return);

	if (!code)
		return 0;
	if (code >= a->nknown && known_grow(a, code))
		return -ENOMEM;
	if (a->known[code] & bit)
		return 0;
	if (a->n == a->room) {
		size_t room = a->room ? 2 * a->room : 256;
		struct bs_code_ask *grown = reallocarray(a->v, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		a->v = grown;
		a->room = room;
	}
	a->known[code] |= bit;
	a->v[a->n++] = (struct bs_code_ask){code, is_return};
	return 0;
}

void bs_asks_fini(struct bs_asks *a)
{
	free(a->v);
	free(a->known);
	memset(a, 0, sizeof(*a));
}
