// SPDX-License-Identifier: GPL-2.0-only
/*
 * held.c - allocates many blocks, holds them while it does something else for a while, and frees
 * them all.
 *
 * usage: held BLOCKS
 */
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv)
{
	const struct timespec pause = {.tv_nsec = 300000000};
	int n = argc > 1 ? atoi(argv[1]) : 0;
	void **blocks = malloc((size_t)n * sizeof(*blocks));

	for (int i = 0; i < n; i++)
		blocks[i] = malloc(24);
	nanosleep(&pause, NULL);
	for (int i = 0; i < 100000; i++)
		free(malloc(40));
	nanosleep(&pause, NULL);
	for (int i = 0; i < n; i++)
		free(blocks[i]);
	free(blocks);
	return 0;
}
