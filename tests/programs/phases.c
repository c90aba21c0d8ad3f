// SPDX-License-Identifier: GPL-2.0-only
/*
 * phases.c - a correct program whose load changes: as many marks as it can make, then few, in turn,
 * with a CPU of its own all the time.
 *
 * usage: phases HEAVY_SECONDS LIGHT_SECONDS SECONDS
 *
 * Prints how many lives there were in all, and whether its results are right.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <bscope/bscope.h>

#define OBJECTS	 256u
#define LIGHT_NS 1000000u /* between two lives */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static __attribute__((noinline)) uint64_t live(uint64_t n, uint64_t sum)
{
	uint64_t id = 0x1000 + n % OBJECTS * 16;

	BSCOPE_NEW_SIZED(phase, id, 100);
	BSCOPE_USE(phase, id, 0);
	BSCOPE_RETAIN(phase, id);
	sum = (sum ^ n) * 0x9e3779b97f4a7c15ull;
	BSCOPE_RELEASE(phase, id);
	BSCOPE_RELEASE(phase, id);
	BSCOPE_DROP(phase, id);
	return sum;
}

int main(int argc, char **argv)
{
	double heavy = argc > 3 ? atof(argv[1]) : 0, light = argc > 3 ? atof(argv[2]) : 0;
	uint64_t began = now_ns(), n = 0, sum = 0, check = 0;
	double seconds = argc > 3 ? atof(argv[3]) : 0;

	if (!(heavy + light > 0) || !(seconds > 0)) {
		fprintf(stderr, "usage: phases HEAVY_SECONDS LIGHT_SECONDS SECONDS\n");
		return 64;
	}
	for (uint64_t now = began; now - began < (uint64_t)(seconds * 1e9); now = now_ns()) {
		double at = (double)((now - began) % (uint64_t)((heavy + light) * 1e9)) / 1e9;

		if (at < heavy) {
			for (int i = 0; i < 1000; i++)
				sum = live(n++, sum);
		} else {
			sum = live(n++, sum);
			while (now_ns() - now < LIGHT_NS)
				;
		}
	}
	for (uint64_t i = 0; i < n; i++)
		check = (check ^ i) * 0x9e3779b97f4a7c15ull;
	printf("{\"lives\": %llu, \"results\": \"%s\"}\n", (unsigned long long)n,
	       check == sum ? "right" : "wrong");
	return check != sum;
}
