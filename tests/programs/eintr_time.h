/* SPDX-License-Identifier: GPL-2.0-only */
/* eintr_time.h - calls that wait for a time. */
#ifndef EINTR_TIME_H
#define EINTR_TIME_H

#include "eintr.h"

#include <sys/timerfd.h>

static int wait_nanosleep(struct seat *s, int ms)
{
	struct timespec ts;

	span(ms < 0 ? 3600000 : ms, &ts);
	seat_enter(s);
	return (int)seat_leave(s, nanosleep(&ts, NULL));
}

static int sleep_result(struct seat *s, int error)
{
	errno = error;
	return seat_leave(s, error ? -1 : 0) < 0 ? -error : TIMED_OUT;
}

static int wait_clock_nanosleep(struct seat *s, int ms)
{
	struct timespec ts;

	span(ms < 0 ? 3600000 : ms, &ts);
	seat_enter(s);
	return sleep_result(s, clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL));
}

static int wait_clock_nanosleep_abs(struct seat *s, int ms)
{
	struct timespec ts;

	until(CLOCK_MONOTONIC, ms, &ts);
	seat_enter(s);
	return sleep_result(s, clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL));
}

static void timer_prepare(struct seat *s)
{
	NEED((s->a = timerfd_create(CLOCK_MONOTONIC, 0)) >= 0);
}

static bool timer_wake(struct seat *s)
{
	struct itimerspec soon = {{0, 0}, {0, 300000}};

	return !timerfd_settime(s->a, 0, &soon, NULL);
}

static int wait_timerfd(struct seat *s, int ms)
{
	uint64_t n;

	(void)ms;
	seat_enter(s);
	return counted_result(seat_leave(s, read(s->a, &n, sizeof(n))));
}

#endif
