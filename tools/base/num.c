// SPDX-License-Identifier: GPL-2.0-only
/* num.c - the one checked parser for numbers that people type. */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/num.h"

#define NSEC_PER_SEC 1000000000ull
#define TEN_YEARS_S  (3652ull * 86400)

/*
 * Reads digits from *s on; *s is left at the first character that is none.  A number that does
 * not fit gives UINT64_MAX and sets *big: whether the rest is well formed is still to be seen.
 * False if there was no digit.
 */
static bool digits(const char **s, uint64_t *value, bool *big)
{
	const char *p = *s;

	*value = 0;
	*big = false;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (*big)
			continue;
		if (__builtin_mul_overflow(*value, 10u, value) ||
		    __builtin_add_overflow(*value, (unsigned)(*p - '0'), value)) {
			*big = true;
			*value = UINT64_MAX;
		}
	}
	if (p == *s)
		return false;
	*s = p;
	return true;
}

int bs_num_u64(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t value;
	bool big;

	if (!digits(&s, &value, &big) || *s)
		return -EINVAL;
	if (big || value < min || value > max)
		return -ERANGE;
	*out = value;
	return 0;
}

int bs_num_seconds(const char *s, int allow_zero, uint64_t *ns)
{
	uint64_t whole = 0, fraction = 0, unit = NSEC_PER_SEC;
	bool big = false;
	bool any = digits(&s, &whole, &big);

	if (*s == '.') {
		s++;
		if (!(*s >= '0' && *s <= '9'))
			return -EINVAL;
		for (; *s >= '0' && *s <= '9'; s++) {
			/* Finer than a nanosecond: read, checked and dropped. */
			unit /= 10;
			fraction += (uint64_t)(*s - '0') * unit;
		}
		any = true;
	}
	if (!any || *s)
		return -EINVAL;
	if (big || whole > TEN_YEARS_S || (whole == TEN_YEARS_S && fraction))
		return -ERANGE;
	whole = whole * NSEC_PER_SEC + fraction;
	if (!whole && !allow_zero)
		return -ERANGE;
	*ns = whole;
	return 0;
}

int bs_num_bytes(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
	unsigned shift = 0;
	uint64_t value;
	bool big;

	if (!digits(&s, &value, &big))
		return -EINVAL;
	switch (*s) {
	case 'k':
	case 'K':
		shift = 10;
		break;
	case 'm':
	case 'M':
		shift = 20;
		break;
	case 'g':
	case 'G':
		shift = 30;
		break;
	}
	if (shift)
		s++;
	if (*s)
		return -EINVAL;
	if (big || value > UINT64_MAX >> shift)
		return -ERANGE;
	value <<= shift;
	if (value < min || value > max)
		return -ERANGE;
	*out = value;
	return 0;
}
