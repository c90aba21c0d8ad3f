// SPDX-License-Identifier: GPL-2.0-only
/*
 * known.c - a fixed amount of work between marks, at a set rate, and the CPU time that it takes:
 * what tracking takes of it is known by the clock of the thread alone.
 *
 * usage: known MARKS_PER_MS_OF_WORK SECONDS FILE apart|overlap
 *
 * A unit is seven marks and six pieces of work between them: a chain of multiplications.
 *   apart: no piece begins before all that came before it is done, marks included, so that it
 * always takes the same time. overlap: the processor may go on with the work while a mark reads the
 * clock, and does: a mark costs less then than it takes.
 *   Every 4 ms some of the same work is done without marks: what it takes tells how fast the
 * processor is at that moment, which changes by some percent where others use the machine as well.
 * Then a line goes to FILE, of sums since the beginning: units, CPU time of the thread for them in
 * ns, CPU time of the thread for the work without marks, which is the same each time.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bscope/bscope.h>

#define PIECES	6 /* of work in a unit, and a mark more */
#define OBJECTS 1024
#define BLOCK	512
#define LINE_NS 4000000.0
#define PURE_NS 500000.0 /* of it work without marks */

static uint64_t block[BLOCK];
static int apart;

static uint64_t clock_of(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Nothing behind it begins before all in front of it is done. */
static inline void wait_for_all(void)
{
#if defined(__x86_64__)
	__asm__ __volatile__("lfence" : : : "memory");
#elif defined(__aarch64__)
	__asm__ __volatile__("dsb sy\n\tisb" : : : "memory");
#endif
}

static __attribute__((noinline, aligned(64))) uint64_t work(uint64_t seed, uint64_t rounds)
{
	uint64_t h = seed;

	if (apart)
		wait_for_all();
	for (uint64_t i = 0; i < rounds; i++)
		h = (h ^ block[i % BLOCK]) * 0x9e3779b97f4a7c15ull;
	if (apart)
		wait_for_all();
	return h;
}

static __attribute__((noinline, aligned(64))) uint64_t unit(uint64_t n, uint64_t rounds)
{
	uint64_t id = 0x100000 + n % OBJECTS * 64, h = n;

	BSCOPE_NEW_SIZED(known, id, 64);
	h = work(h, rounds);
	BSCOPE_BORROW(known, id, 1);
	h = work(h, rounds);
	BSCOPE_UNBORROW(known, id, 1);
	h = work(h, rounds);
	BSCOPE_RETAIN(known, id);
	h = work(h, rounds);
	BSCOPE_RELEASE(known, id);
	h = work(h, rounds);
	/* Its own count. */
	BSCOPE_RELEASE(known, id);
	BSCOPE_DROP(known, id);
	return work(h, rounds);
}

/* Of work without lit or unlit sites, the fastest of many. */
static double ns_per_round(void)
{
	uint64_t least = UINT64_MAX, sink = 0;

	for (int i = 0; i < 50; i++) {
		uint64_t began = clock_of(CLOCK_THREAD_CPUTIME_ID), took;

		for (uint64_t k = 0; k < 1000; k++)
			sink += work(k, 200);
		took = clock_of(CLOCK_THREAD_CPUTIME_ID) - began;
		if (took < least)
			least = took;
	}
	block[0] = sink;
	return (double)least / 200e3;
}

int main(int argc, char **argv)
{
	double per_ms = argc > 1 ? atof(argv[1]) : 0, seconds = argc > 2 ? atof(argv[2]) : 0, each;
	FILE *out = argc > 3 ? fopen(argv[3], "w") : NULL;
	uint64_t began, rounds, many, pure, units = 0, marked_ns = 0, pure_ns = 0, h = 0;

	if (!(per_ms > 0) || !(seconds > 0) || !out || argc != 5 ||
	    (strcmp(argv[4], "apart") && strcmp(argv[4], "overlap"))) {
		fprintf(stderr, "usage: known MARKS_PER_MS_OF_WORK SECONDS FILE apart|overlap\n");
		return 64;
	}
	apart = !strcmp(argv[4], "apart");
	setvbuf(out, NULL, _IOLBF, 0);
	for (size_t i = 0; i < BLOCK; i++)
		block[i] = i * 0x9e3779b97f4a7c15ull;
	each = ns_per_round();
	rounds = (uint64_t)((PIECES + 1) * 1e6 / per_ms / PIECES / each) + 1;
	pure = (uint64_t)(PURE_NS / each);
	many = (uint64_t)((LINE_NS - PURE_NS) / 1e6 * per_ms / (PIECES + 1)) + 1;
	began = clock_of(CLOCK_MONOTONIC);
	while (clock_of(CLOCK_MONOTONIC) - began < (uint64_t)(seconds * 1e9)) {
		uint64_t a = clock_of(CLOCK_THREAD_CPUTIME_ID), b, c;

		for (uint64_t i = 0; i < many; i++)
			h ^= unit(units++, rounds);
		b = clock_of(CLOCK_THREAD_CPUTIME_ID);
		h ^= work(h, pure);
		c = clock_of(CLOCK_THREAD_CPUTIME_ID);
		marked_ns += b - a;
		pure_ns += c - b;
		fprintf(out, "%llu %llu %llu\n", (unsigned long long)units,
			(unsigned long long)marked_ns, (unsigned long long)pure_ns);
	}
	fprintf(stderr, "%llx\n", (unsigned long long)h);
	return 0;
}
