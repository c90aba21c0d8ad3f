// SPDX-License-Identifier: GPL-2.0-only
/*
 * steady.c - a program that does the same work over and over, with marks in it, and says what CPU
 * time it takes: what tracing costs shows in that alone.
 *
 * usage: steady MARKS_PER_MS_OF_WORK SECONDS [FILE]
 *
 * A unit is a hash over a block of memory, as long as it takes for so many marks a millisecond,
 * with ten marks in between: an object made, borrowed, used, counted, dropped.  Every 50 ms a line
 * goes to FILE (standard output): CLOCK_MONOTONIC in ns, units done so far, CPU time of the thread
 * in ns.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <bscope/bscope.h>

#define MARKS	10
#define OBJECTS 1024
#define BLOCK	512
#define LINE_NS 50000000ull

static uint64_t block[BLOCK];

static uint64_t clock_of(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static __attribute__((noinline, aligned(64))) uint64_t work(uint64_t seed, uint64_t rounds)
{
	uint64_t h = seed;

	for (uint64_t i = 0; i < rounds; i++)
		h = (h ^ block[i % BLOCK]) * 0x9e3779b97f4a7c15ull;
	return h;
}

static __attribute__((noinline, aligned(64))) uint64_t unit(uint64_t n, uint64_t rounds)
{
	uint64_t id = 0x100000 + n % OBJECTS * 64, h;

	BSCOPE_NEW_SIZED(steady, id, 64);
	BSCOPE_BORROW(steady, id, 1);
	h = work(n, rounds);
	BSCOPE_USE(steady, id, 1);
	BSCOPE_UNBORROW(steady, id, 1);
	BSCOPE_RETAIN(steady, id);
	BSCOPE_MOVE(steady, id, 2);
	h ^= work(h, rounds);
	BSCOPE_USE(steady, id, 2);
	BSCOPE_RELEASE(steady, id);
	/* Its own count. */
	BSCOPE_RELEASE(steady, id);
	BSCOPE_DROP(steady, id);
	return h;
}

/* Rounds of work for a unit of that many ns. */
static uint64_t calibrate(double unit_ns)
{
	uint64_t least = UINT64_MAX, sink = 0;

	for (int i = 0; i < 20; i++) {
		uint64_t began = clock_of(CLOCK_THREAD_CPUTIME_ID), took;

		sink += work((uint64_t)i, 1000000);
		took = clock_of(CLOCK_THREAD_CPUTIME_ID) - began;
		if (took < least)
			least = took;
	}
	block[0] = sink;
	return (uint64_t)(unit_ns / 2 / ((double)least / 1e6)) + 1;
}

int main(int argc, char **argv)
{
	double per_ms = argc > 1 ? atof(argv[1]) : 0, seconds = argc > 2 ? atof(argv[2]) : 0;
	FILE *out = argc > 3 ? fopen(argv[3], "w") : stdout;
	uint64_t began, next, rounds, units = 0, h = 0;

	if (!(per_ms > 0) || !(seconds > 0) || !out) {
		fprintf(stderr, "usage: steady MARKS_PER_MS_OF_WORK SECONDS [FILE]\n");
		return 64;
	}
	setvbuf(out, NULL, _IOLBF, 0);
	for (size_t i = 0; i < BLOCK; i++)
		block[i] = i * 0x9e3779b97f4a7c15ull;
	rounds = calibrate(MARKS * 1e6 / per_ms);
	began = next = clock_of(CLOCK_MONOTONIC);
	while (clock_of(CLOCK_MONOTONIC) - began < (uint64_t)(seconds * 1e9)) {
		for (int i = 0; i < 200; i++)
			h ^= unit(units++, rounds);
		if (clock_of(CLOCK_MONOTONIC) < next)
			continue;
		next += LINE_NS;
		fprintf(out, "%llu %llu %llu\n", (unsigned long long)clock_of(CLOCK_MONOTONIC),
			(unsigned long long)units,
			(unsigned long long)clock_of(CLOCK_THREAD_CPUTIME_ID));
	}
	fprintf(stderr, "%llx\n", (unsigned long long)h);
	return 0;
}
