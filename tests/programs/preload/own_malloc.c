// SPDX-License-Identifier: GPL-2.0-only
/*
 * own_malloc.c - a program with an allocator of its own: the preload library must not come
 * between the two, even where the program lacks one of the functions (reallocarray).
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Alignas(16) char heap[1 << 20];
static size_t used;

static int mine(const void *p)
{
	return (const char *)p >= heap && (const char *)p < heap + sizeof(heap);
}

void *malloc(size_t n)
{
	size_t at = __atomic_fetch_add(&used, (n + 31) & ~(size_t)15, __ATOMIC_RELAXED);

	if (n > sizeof(heap) || at + n + 32 > sizeof(heap))
		return NULL;
	memcpy(heap + at, &n, sizeof(n));
	return heap + at + 16;
}

void *calloc(size_t count, size_t size)
{
	return malloc(count * size); /* never reused, so zero */
}

void free(void *p)
{
	if (p && !mine(p))
		abort();
}

void *realloc(void *old, size_t n)
{
	void *p = malloc(n);
	size_t had;

	if (old && !mine(old))
		abort();
	if (p && old) {
		memcpy(&had, (char *)old - 16, sizeof(had));
		memcpy(p, old, n < had ? n : had);
	}
	return p;
}

int main(void)
{
	char *s = strdup("one"), *line = NULL;
	void *p;

	s = reallocarray(s, 20, 10);
	printf("%s %d\n", s, mine(s));
	p = malloc(10);
	printf("malloc %d\n", mine(p));
	free(p);
	if (asprintf(&line, "%d %s", 7, s) < 0)
		return 1;
	printf("%s %d\n", line, mine(line));
	free(line);
	free(s);
	return 0;
}
