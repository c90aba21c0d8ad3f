/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * detached.c - what a site costs while nobody is attached: the same loop with and without one.
 *
 * Rounds alternate; loops are aligned, because one that crosses a cache line looks like probe cost.
 * Prints the quartiles of the ratio of neighbouring rounds.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <bscope/bscope.h>

#define ROUNDS 101
#define TURNS  3000000

static double cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* The argument of the site is in a register already: the loops differ by the two nops alone. */
#define LOOP(name, site)                                                            \
	static __attribute__((noinline, aligned(64))) uint64_t name(uint64_t turns) \
	{                                                                           \
		uint64_t sum = 0;                                                   \
                                                                                    \
		for (uint64_t i = 0; i < turns; i++) {                              \
			sum = (sum ^ i) * 6364136223846793005ull;                   \
			site;                                                       \
		}                                                                   \
		return sum;                                                         \
	}
LOOP(plain, __asm__ volatile("" ::"r"(i)))
LOOP(marked, BSCOPE_USE(thing, i, sum))

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(void)
{
	double ratio[ROUNDS];
	volatile uint64_t sink = plain(TURNS) + marked(TURNS);

	for (int i = 0; i < ROUNDS; i++) {
		double a = cpu_ns(), b, c;

		sink += plain(TURNS);
		b = cpu_ns();
		sink += marked(TURNS);
		c = cpu_ns();
		ratio[i] = (c - b) / (b - a);
	}
	(void)sink;
	qsort(ratio, ROUNDS, sizeof(ratio[0]), by_value);
	printf("detached: loop with a site / the same without: median %.3f (quartiles %.3f to "
	       "%.3f, %d rounds)\n",
	       ratio[ROUNDS / 2], ratio[ROUNDS / 4], ratio[3 * ROUNDS / 4], ROUNDS);
	return 0;
}
