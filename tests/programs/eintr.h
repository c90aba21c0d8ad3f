/* SPDX-License-Identifier: GPL-2.0-only */
/* eintr.h - what eintr.c, which judges, and eintr_*.h, which make the calls, share. */
#ifndef EINTR_H
#define EINTR_H

#include <stddef.h>

#include "unhurt.h"

/* Sent to single threads, blocked everywhere. */
#define SIG_WAITED (SIGRTMIN + 4)
#define SIG_READ   (SIGRTMIN + 5)

/* What a call came back with; or -errno. */
enum { TIMED_OUT = 0, WOKEN = 1 };

struct seat;

/* One kind of call. */
struct call {
	const char *name;
	void (*prepare)(struct seat *s); /* in the thread of the seat */
	/*
	 * One blocking call of at most so many ms (-1: no limit), between seat_enter and
	 * seat_leave.
	 */
	int (*wait)(struct seat *s, int ms);
	/* Sends one wake-up, from another thread.  False: not now.  NULL: signals alone do. */
	bool (*wake)(struct seat *s);
	bool deaf; /* signals do not end it: the C library waits on */
};

/* A thread that sits in one kind of call. */
struct seat {
	const struct call *call;
	pthread_t thread;
	pid_t tid;
	/* what the calls need */
	int a, b, c;
	char path[64];
	void *p;
	unsigned word;
	pthread_mutex_t mutex;
	pthread_cond_t cond;

	_Atomic uint64_t calls;	  /* odd while in one */
	_Atomic uint64_t handled; /* signals */
	uint64_t handled_before;
	_Atomic uint64_t sent, seen; /* wake-ups */
	uint64_t sent_ns, signalled_ns, signalled_in;
	_Atomic uint64_t signalled;
	_Atomic uint64_t timeouts, interrupted, bare, errors;
	_Atomic int error;
	bool signalled_again, stuck;
	atomic_bool ended;
};

static inline void seat_enter(struct seat *s)
{
	s->handled_before = atomic_load(&s->handled);
	atomic_fetch_add(&s->calls, 1);
}

/* result: as system calls return it through the C library.  0 or more, or -errno. */
static inline long seat_leave(struct seat *s, long result)
{
	result = result < 0 ? -errno : result;
	atomic_fetch_add(&s->calls, 1);
	return result;
}

#define NEED(x)                                                                   \
	do {                                                                      \
		if (!(x)) {                                                       \
			fprintf(stderr, "eintr: %s: %s: %s\n", s->call->name, #x, \
				strerror(errno));                                 \
			abort();                                                  \
		}                                                                 \
	} while (0)

static inline struct timespec *span(int ms, struct timespec *ts)
{
	ts->tv_sec = ms / 1000;
	ts->tv_nsec = (long)(ms % 1000) * 1000000;
	return ms < 0 ? NULL : ts;
}

/* A time of a clock; "never" is an hour. */
static inline struct timespec *until(clockid_t clock, int ms, struct timespec *ts)
{
	clock_gettime(clock, ts);
	ts->tv_sec += ms < 0 ? 3600 : ms / 1000;
	ts->tv_nsec += ms < 0 ? 0 : (long)(ms % 1000) * 1000000;
	if (ts->tv_nsec >= 1000000000) {
		ts->tv_nsec -= 1000000000;
		ts->tv_sec++;
	}
	return ts;
}

/* Of calls that return how much they did, 0 being a timeout. */
static inline int counted_result(long r)
{
	return r < 0 ? (int)r : r > 0 ? WOKEN : TIMED_OUT;
}

/* Of calls that fail with an error of their own after the timeout. */
static inline int timed_result(long r, int timeout_error)
{
	return r == -timeout_error ? TIMED_OUT : r < 0 ? (int)r : WOKEN;
}

static inline void nothing_prepare(struct seat *s)
{
	(void)s;
}

#endif
