// SPDX-License-Identifier: GPL-2.0-only
/*
 * failures.c - prints what every allocation function returns and does to errno in the odd
 * cases.  Its output is the same with and without the preload library.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile size_t max = SIZE_MAX, half = PTRDIFF_MAX, zero, three = 3;

static void *volatile sink;

#define SHOW(expr)                                                                    \
	do {                                                                          \
		errno = 77;                                                           \
		sink = (expr);                                                        \
		printf("%-32s %s errno %d\n", #expr, sink ? "block" : "NULL", errno); \
	} while (0)

#define SHOW_INT(expr)                                              \
	do {                                                        \
		int value;                                          \
		errno = 77;                                         \
		value = (expr);                                     \
		printf("%-32s %d errno %d\n", #expr, value, errno); \
	} while (0)

int main(void)
{
	char *volatile p; /* volatile: it is used again after a resize that failed */
	void *q = NULL;
	int i;

	SHOW(malloc(max));
	SHOW(malloc(half));
	SHOW(malloc(zero));
	SHOW(malloc(10));
	SHOW(calloc(max, 2));
	SHOW(calloc(half, three));
	SHOW(calloc(zero, 10));
	SHOW(calloc(10, zero));
	SHOW(realloc(NULL, max));
	SHOW(realloc(NULL, zero));
	SHOW(realloc(NULL, 10));
	SHOW(reallocarray(NULL, max, 2));
	SHOW(reallocarray(NULL, half, three));
	SHOW(reallocarray(NULL, zero, 5));
	SHOW(aligned_alloc(three, 30));
	SHOW(aligned_alloc(zero, 30));
	SHOW(aligned_alloc(64, max));
	SHOW(aligned_alloc(64, 65));
	SHOW(memalign(three, 30));
	SHOW(memalign(64, half));
	SHOW(valloc(max));
	SHOW(pvalloc(max));
	SHOW(pvalloc(zero));
	SHOW_INT(posix_memalign(&q, three, 10));
	SHOW_INT(posix_memalign(&q, zero, 10));
	SHOW_INT(posix_memalign(&q, 4, 10));
	SHOW_INT(posix_memalign(&q, 64, max));
	printf("untouched: %d\n", q == NULL);
	SHOW_INT(posix_memalign(&q, 64, 10));
	printf("aligned: %d\n", q && !((uintptr_t)q % 64));

	/* A failed resize leaves the block and what is in it. */
	p = malloc(100);
	if (!p)
		return 1;
	memset(p, 'k', 100);
	SHOW(realloc(p, max));
	SHOW(reallocarray(p, max, 16));
	SHOW(reallocarray(p, half, 2));
	for (i = 0; i < 100 && p[i] == 'k'; i++)
		;
	printf("kept: %d\n", i);
	errno = 77;
	free(p);
	printf("free errno %d\n", errno);
	errno = 77;
	free(NULL);
	printf("free(NULL) errno %d\n", errno);
	SHOW(realloc(malloc(10), zero));
	SHOW(reallocarray(malloc(10), zero, 7));
	SHOW(reallocarray(malloc(10), 7, zero));
	SHOW_INT(malloc_usable_size(NULL) == 0);
	p = malloc(100);
	SHOW_INT(malloc_usable_size(p) >= 100);
	free(p);
	/* A large block: free unmaps it, which must not show in errno either. */
	p = malloc(64 << 20);
	errno = 77;
	free(p);
	printf("free of a mapped block errno %d\n", errno);
	return 0;
}
