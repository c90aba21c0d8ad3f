// SPDX-License-Identifier: GPL-2.0-only
/*
 * forks.c - forks from several threads while others allocate; every child allocates, starts a
 * thread, forks once more and checks what it inherited.  Bounded: 4 threads x 10 children x 1.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int stop;

static void churn(unsigned seed, int n)
{
	char *block[64] = {0};
	int i;

	for (i = 0; i < n; i++) {
		unsigned at = (seed = seed * 1103515245u + 12345) >> 16 & 63;

		free(block[at]);
		block[at] = malloc((seed >> 8) % 2000 + 1);
		if (!block[at])
			abort();
		block[at][0] = (char)i;
	}
	for (i = 0; i < 64; i++)
		free(block[i]);
}

static void *noise(void *arg)
{
	while (!stop)
		churn((unsigned)(size_t)arg, 1000);
	return NULL;
}

static void *child_thread(void *arg)
{
	churn((unsigned)(size_t)arg, 2000);
	return NULL;
}

static int child(char *inherited, int depth)
{
	pthread_t t;
	int status = 0;

	if (strcmp(inherited, "inherited"))
		return 3;
	inherited = realloc(inherited, 100000);
	if (!inherited || strcmp(inherited, "inherited"))
		return 4;
	free(inherited);
	if (pthread_create(&t, NULL, child_thread, (void *)(size_t)depth))
		return 5;
	churn((unsigned)depth, 2000);
	pthread_join(t, NULL);
	if (depth > 0) {
		pid_t pid = fork();

		if (pid < 0)
			return 6;
		if (!pid) {
			churn(99, 2000);
			_exit(0);
		}
		if (waitpid(pid, &status, 0) != pid)
			return 7;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 8;
}

static void *forker(void *arg)
{
	size_t bad = 0;
	int i;

	(void)arg;
	for (i = 0; i < 10; i++) {
		char *inherited = strdup("inherited");
		pid_t pid = fork();
		int status;

		if (!pid)
			_exit(child(inherited, 1));
		free(inherited);
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
			bad++;
	}
	return (void *)bad;
}

int main(void)
{
	pthread_t noisy[2], forking[4];
	size_t bad = 0;
	int i;

	for (i = 0; i < 2; i++)
		if (pthread_create(&noisy[i], NULL, noise, (void *)(size_t)(i + 1)))
			return 1;
	for (i = 0; i < 4; i++)
		if (pthread_create(&forking[i], NULL, forker, NULL))
			return 1;
	for (i = 0; i < 4; i++) {
		void *n;

		pthread_join(forking[i], &n);
		bad += (size_t)n;
	}
	stop = 1;
	for (i = 0; i < 2; i++)
		pthread_join(noisy[i], NULL);
	printf("bad children: %zu\n", bad);
	return bad != 0;
}
