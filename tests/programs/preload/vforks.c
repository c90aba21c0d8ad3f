// SPDX-License-Identifier: GPL-2.0-only
/*
 * vforks.c - children that work in their parent's memory: each frees what its parent has allocated,
 * and leaves what its parent frees.  Nothing is left, nothing is freed twice.
 *
 * usage: vforks CHILDREN
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCKS 64

static void *volatile to_child[BLOCKS], *volatile to_parent[BLOCKS];

static void child(void)
{
	for (int i = 0; i < BLOCKS; i++)
		free(to_child[i]);
	for (int i = 0; i < BLOCKS; i++)
		to_parent[i] = malloc(500);
	_exit(0);
}

int main(int argc, char **argv)
{
	volatile int children = argc > 1 ? atoi(argv[1]) : 0;

	for (volatile int n = 0; n < children; n++) {
		int status;
		pid_t pid;

		for (int i = 0; i < BLOCKS; i++)
			to_child[i] = malloc(500);
		pid = vfork();
		if (!pid)
			child();
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
			return 1;
		for (int i = 0; i < BLOCKS; i++)
			free(to_parent[i]);
	}
	printf("%d\n", children * 2 * BLOCKS);
	return 0;
}
