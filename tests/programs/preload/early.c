// SPDX-License-Identifier: GPL-2.0-only
/*
 * early.c - uses, resizes and frees blocks that were allocated at every stage of start-up:
 * relocation, preinit, constructors of libraries and of the program.
 */
#define _GNU_SOURCE
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct early {
	char *resolver_malloc, *resolver_calloc, *constructor_malloc;
	int locked, opened, closed, missing, once;
};
struct early *early_blocks(void);
int early_answer(void);

static char *preinit_block, *own_block;

static void preinit(void)
{
	preinit_block = strdup("preinit");
}
__attribute__((section(".preinit_array"), used)) static void (*const preinit_entry)(void) = preinit;

__attribute__((constructor(101))) static void construct(void)
{
	own_block = realloc(NULL, 20);
	if (own_block)
		strcpy(own_block, "own");
}

int main(void)
{
	char *early_block = early_blocks()->resolver_malloc;
	char *early_second = early_blocks()->resolver_calloc;
	char *early_constructed = early_blocks()->constructor_malloc;
	int i, good = 0;

	if (!early_block || !early_second || !early_constructed || !preinit_block || !own_block)
		return 1;
	printf("answer %d\n", early_answer());
	printf("opened %d closed %d missing %d locked %d once %d\n", early_blocks()->opened,
	       early_blocks()->closed, early_blocks()->missing, early_blocks()->locked,
	       early_blocks()->once);
	printf("usable %d\n", malloc_usable_size(early_block) >= 100);
	printf("aligned %d\n", !((size_t)early_block % 16) && !((size_t)early_second % 16));
	early_block = realloc(early_block, 5000);
	if (!early_block)
		return 1;
	for (i = 0; i < 100; i++)
		good += early_block[i] == (char)i;
	printf("kept %d\n", good);
	early_block = realloc(early_block, 50000);
	for (good = 0, i = 0; early_block && i < 100; i++)
		good += early_block[i] == (char)i;
	printf("kept %d\n", good);
	for (good = 0, i = 0; i < 100; i++)
		good += early_second[i] == 0;
	printf("zero %d\n", good);
	printf("%s %s %s\n", early_constructed, preinit_block, own_block);
	free(early_block);
	free(early_second);
	free(early_constructed);
	free(preinit_block);
	own_block = realloc(own_block, 0);
	printf("gone %d\n", own_block == NULL);
	return 0;
}
