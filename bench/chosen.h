/* SPDX-License-Identifier: GPL-2.0-only */
/* chosen.h - who is followed, as the runtime decides it, without the marks. */
#ifndef BENCH_CHOSEN_H
#define BENCH_CHOSEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/sample.h"

struct bscope_buffer;

/* A thread's; freed by free(). */
struct bscope_buffer *chosen_buffer(void);
/* From here on; each buffer begins anew with chosen_seed. */
void chosen_begin(const struct bs_sample *sample);
void chosen_seed(struct bscope_buffer *b, uint64_t seed);
/* An object begins, or by bytes a new size of it: is it followed? */
bool chosen(struct bscope_buffer *b, uint64_t bytes, uint32_t stratum);

#endif
