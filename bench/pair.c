/* SPDX-License-Identifier: GPL-2.0-only */
/* pair.c - ns of thread CPU time per malloc and free of small blocks; run by bench/preload.sh. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PAIRS 4000000

static double cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

int main(void)
{
	double start;

	for (int warm = 0; warm < 2; warm++) {
		start = cpu_ns();
		for (int i = 0; i < PAIRS; i++) {
			char *volatile p = malloc(16 + (size_t)(i & 255));

			free(p);
		}
	}
	printf("%.3f\n", (cpu_ns() - start) / PAIRS);
	return 0;
}
