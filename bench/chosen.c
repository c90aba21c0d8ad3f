/* SPDX-License-Identifier: GPL-2.0-only */
/* chosen.c - the runtime's own decisions (runtime/follow.h), as record.c comes to them. */
#include "bench/chosen.h"

#include <stdlib.h>

#include "runtime/follow.h"

struct bscope_control bs_control;

struct bscope_buffer *chosen_buffer(void)
{
	return calloc(1, sizeof(struct bscope_buffer));
}

void chosen_begin(const struct bs_sample *sample)
{
	bs_control.follow_gap = bs_sample_gap(sample);
	bs_control.follow_base = bs_sample_base(sample);
	bs_control.follow_block = bs_sample_block(sample);
	bs_control.follow_flags = bs_sample_flags(sample);
}

void chosen_seed(struct bscope_buffer *b, uint64_t seed)
{
	follow_begin(b);
	/* Not by the clock: a run of the bench can be repeated. */
	b->random = seed;
	if (!follow_by_blocks())
		b->gap = follow_draw(&b->random, bs_control.follow_gap);
}

bool chosen(struct bscope_buffer *b, uint64_t bytes, uint32_t stratum)
{
	if (follow_by_blocks())
		return follow_block(b, stratum);
	return follow_chosen(b, follow_size(bytes));
}
