/* SPDX-License-Identifier: GPL-2.0-only */
/* clock.h - the system's clocks in nanoseconds. */
#ifndef BS_BASE_CLOCK_H
#define BS_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t bs_clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* CLOCK_MONOTONIC: the clock of events, stops and reports. */
static inline uint64_t bs_now_ns(void)
{
	return bs_clock_ns(CLOCK_MONOTONIC);
}

#endif
