/* SPDX-License-Identifier: GPL-2.0-only */
/* asks.h - the addresses that a picture wants names for, each once: what bs_code_resolve takes. */
#ifndef BS_TRACE_ASKS_H
#define BS_TRACE_ASKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "symbol/symbol.h"

/* All 0 is empty. */
struct bs_asks {
	struct bs_code_ask *v;
	size_t n, room;
	uint8_t *known; /* by code: bit 0: asked for, 1: as a return address */
	size_t nknown;
};

/* code: of bs_code_intern; 0 is nothing.  0 or -ENOMEM. */
int bs_asks_add(struct bs_asks *a, uint32_t code, bool is_return);
void bs_asks_fini(struct bs_asks *a);

#endif
