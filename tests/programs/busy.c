// SPDX-License-Identifier: GPL-2.0-only
/*
 * busy.c - a program that does nothing but make marks, or nothing but work, for so many seconds of
 * its CPU time: samples of it are known.
 *
 * usage: busy marks|work SECONDS
 *
 * With work its sites are there, and are never hit.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bscope/bscope.h>

#define TURNS 1000

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

__attribute__((noinline, optimize("no-omit-frame-pointer"))) static void marks(void)
{
	for (uint64_t i = 0; i < TURNS; i++) {
		BSCOPE_USE(busy, i, 1);
		BSCOPE_RETAIN(busy, i);
		BSCOPE_RELEASE(busy, i);
		BSCOPE_USE(busy, i, 2);
		BSCOPE_RETAIN(busy, i);
		BSCOPE_RELEASE(busy, i);
		BSCOPE_USE(busy, i, 3);
		BSCOPE_RETAIN(busy, i);
	}
}

__attribute__((noinline, optimize("no-omit-frame-pointer"))) static uint64_t work(uint64_t h)
{
	for (uint64_t i = 0; i < 100 * TURNS; i++)
		h = (h ^ i) * 0x9e3779b97f4a7c15ull;
	return h;
}

__attribute__((optimize("no-omit-frame-pointer"))) int main(int argc, char **argv)
{
	double seconds = argc > 2 ? atof(argv[2]) : 0;
	uint64_t h = 1;

	if (!(seconds > 0) || (strcmp(argv[1], "marks") && strcmp(argv[1], "work"))) {
		fprintf(stderr, "usage: busy marks|work SECONDS\n");
		return 64;
	}
	while (cpu_s() < seconds) {
		if (argv[1][0] == 'm')
			marks();
		else
			h = work(h);
	}
	printf("%llx\n", (unsigned long long)h);
	return 0;
}
