/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * told.h - what a report would say: the model, told of followed objects what the runtime records
 * of them.
 */
#ifndef BENCH_TOLD_H
#define BENCH_TOLD_H

#include <stddef.h>
#include <stdint.h>

#include "base/sample.h"
#include "bench/trace.h"
#include "model/model.h"

struct told;

/* Pieces that were followed, rising: until told_free nobody may change them. */
struct told *told_new(const struct trace *t, const struct bs_sample *sample, const size_t *pieces,
		      size_t n);
void told_free(struct told *told);

/* Goes on to this event, which is one of them; never back. */
void told_until(struct told *told, uint32_t event);

/* Of all; of callers and stacks, by row: rows that are not shown have the value -1. */
struct bs_estimate told_all(const struct told *told);
void told_callers(const struct told *told, struct bs_estimate *rows);
void told_stacks(const struct told *told, struct bs_estimate *rows);

#endif
