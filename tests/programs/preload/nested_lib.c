// SPDX-License-Identifier: GPL-2.0-only
/*
 * nested_lib.c - an allocator over the C library's whose functions call each other through
 * their public names, as debugging allocators do: one call of the program, several inside.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *__libc_malloc(size_t n);
void *__libc_memalign(size_t align, size_t n);
void __libc_free(void *p);

/* Called inside malloc when set, with what is asked for. */
void (*nested_hook)(size_t n);

void *malloc(size_t n)
{
	if (nested_hook)
		nested_hook(n);
	return __libc_malloc(n);
}

void free(void *p)
{
	__libc_free(p);
}

void *calloc(size_t count, size_t size)
{
	size_t n;
	void *p;

	if (__builtin_mul_overflow(count, size, &n)) {
		errno = ENOMEM;
		return NULL;
	}
	p = malloc(n);
	if (p)
		memset(p, 0, n);
	return p;
}

void *realloc(void *old, size_t n)
{
	size_t had;
	void *p;

	if (!old)
		return malloc(n);
	if (!n) {
		free(old);
		return NULL;
	}
	p = malloc(n);
	if (!p)
		return NULL;
	had = malloc_usable_size(old);
	memcpy(p, old, n < had ? n : had);
	free(old);
	return p;
}

void *memalign(size_t align, size_t n)
{
	return __libc_memalign(align, n);
}

void *aligned_alloc(size_t align, size_t n)
{
	return memalign(align, n);
}

int posix_memalign(void **out, size_t align, size_t n)
{
	void *p;

	if (align % sizeof(void *) || (align & (align - 1)) || !align)
		return EINVAL;
	p = memalign(align, n);
	if (!p)
		return ENOMEM;
	*out = p;
	return 0;
}
