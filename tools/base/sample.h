/* SPDX-License-Identifier: GPL-2.0-only */
/* sample.h - which objects are followed: decided by chance, at their birth. */
#ifndef BS_BASE_SAMPLE_H
#define BS_BASE_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

enum bs_sample_by {
	BS_SAMPLE_NOT = 0, /* all objects are followed */
	BS_SAMPLE_OBJECTS, /* one in mean, each with the same chance */
	BS_SAMPLE_BYTES,   /* each byte has the same chance; one in mean_bytes */
	BS_SAMPLE_EITHER,  /* whichever of the two says so */
};

struct bs_sample {
	enum bs_sample_by by;
	double mean, mean_bytes; /* at least 1, as far as they are used */
};

/* Do bytes count? */
static inline bool bs_sample_bytes(const struct bs_sample *s)
{
	return s->by == BS_SAMPLE_BYTES || s->by == BS_SAMPLE_EITHER;
}

/* What the program and the BPF programs are told: as struct bscope_control.follow_gap, _base. */
uint64_t bs_sample_gap(const struct bs_sample *s);
uint64_t bs_sample_base(const struct bs_sample *s);
/*
 * As _block: where a whole number of objects is all that counts, so many births of which exactly
 * one is followed.  0: each by itself.
 */
uint32_t bs_sample_block(const struct bs_sample *s);
/* As _flags. */
uint32_t bs_sample_flags(const struct bs_sample *s);

#endif
