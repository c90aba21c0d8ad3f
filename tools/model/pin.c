/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * pin.c - a place together with the caller that its mark names, as one number: evidence is kept by
 * it.  Places without a caller are their own numbers; others are numbered from behind the last
 * place that there can be.
 */
#include <stdlib.h>

#include "model/state.h"

/* What comes on top is kept without its caller. */
#define PINS_MAX (1u << 20)

struct bs_pin {
	struct {
		uint32_t place, code;
	} key;
	uint32_t number;
	UT_hash_handle hh;
};

uint32_t bs_pin_of(struct bs_model *m, uint32_t place, uint32_t code)
{
	struct bs_pin *pin, probe = {.key = {place, bs_model_caller(m, code)}};

	if (!probe.key.code)
		return place;
	HASH_FIND(hh, m->pins, &probe.key, sizeof(probe.key), pin);
	if (pin)
		return pin->number;
	if (m->npins == PINS_MAX)
		return place;
	if (m->npins == m->pins_cap) {
		uint32_t cap = m->pins_cap ? m->pins_cap * 2 : 64;
		struct bs_pin **v = reallocarray(m->pin, cap, sizeof(struct bs_pin *));

		if (!v)
			return place;
		m->pin = v;
		m->pins_cap = cap;
	}
	pin = malloc(sizeof(*pin));
	if (!pin)
		return place;
	*pin = probe;
	pin->number = BS_MODEL_MAX_DENSE + 1 + m->npins;
	m->pin[m->npins++] = pin;
	HASH_ADD(hh, m->pins, key, sizeof(pin->key), pin);
	return pin->number;
}

void bs_pin_get(const struct bs_model *m, uint32_t number, uint32_t *place, uint32_t *code)
{
	const struct bs_pin *pin;

	*place = number;
	*code = 0;
	if (number <= BS_MODEL_MAX_DENSE)
		return;
	pin = m->pin[number - BS_MODEL_MAX_DENSE - 1];
	*place = pin->key.place;
	*code = pin->key.code;
}

void bs_pins_fini(struct bs_model *m)
{
	HASH_CLEAR(hh, m->pins);
	for (uint32_t i = 0; i < m->npins; i++)
		free(m->pin[i]);
	free(m->pin);
}
