/* SPDX-License-Identifier: GPL-2.0-only */
/* num.h - the one checked parser for numbers that people type. */
#ifndef BS_BASE_NUM_H
#define BS_BASE_NUM_H

#include <stdint.h>

/*
 * Decimal integer, the whole string, min <= value <= max.  No sign, no spaces.
 * Returns 0, -EINVAL (not a number) or -ERANGE.
 */
int bs_num_u64(const char *s, uint64_t min, uint64_t max, uint64_t *out);

/*
 * Seconds with an optional fraction ("30", "0.5") as nanoseconds; more than 0 unless
 * allow_zero, at most ten years.  Returns 0, -EINVAL or -ERANGE.
 */
int bs_num_seconds(const char *s, int allow_zero, uint64_t *ns);

/* Bytes with an optional suffix K, M or G (powers of 1024).  Returns 0, -EINVAL or -ERANGE. */
int bs_num_bytes(const char *s, uint64_t min, uint64_t max, uint64_t *out);

#endif
