// SPDX-License-Identifier: GPL-2.0-only
/*
 * early_lib.c - a library that allocates before the preload library is relocated: in the
 * resolver of an indirect function, and in its own constructor.
 */
#include <stdlib.h>
#include <string.h>

struct early {
	char *resolver_malloc, *resolver_calloc, *constructor_malloc;
};
static struct early early;

static int answer_is(void)
{
	return 42;
}

static __attribute__((used)) int (*resolve_answer(void))(void)
{
	int i;

	early.resolver_malloc = malloc(100);
	early.resolver_calloc = calloc(10, 10);
	if (early.resolver_malloc)
		for (i = 0; i < 100; i++)
			early.resolver_malloc[i] = (char)i;
	return answer_is;
}

static int answer(void) __attribute__((ifunc("resolve_answer")));

int early_answer(void);
struct early *early_blocks(void);

/* A function, not a variable: the program would get a copy, made from the file's zeroes. */
struct early *early_blocks(void)
{
	return &early;
}

int early_answer(void)
{
	return answer();
}

__attribute__((constructor(101))) static void construct(void)
{
	early.constructor_malloc = malloc(50);
	if (early.constructor_malloc)
		strcpy(early.constructor_malloc, "constructed");
}
