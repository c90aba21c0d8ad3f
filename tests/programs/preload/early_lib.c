// SPDX-License-Identifier: GPL-2.0-only
/*
 * early_lib.c - a library that allocates, opens files and takes locks before the preload library is
 * relocated: in the resolver of an indirect function, and in its own constructor.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct early {
	char *resolver_malloc, *resolver_calloc, *constructor_malloc;
	int locked, opened, closed, missing, once;
};
static struct early early;

static int answer_is(void)
{
	return 42;
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void run_once(void)
{
	early.once++;
}

/* Errors are in what is returned: there is no errno yet. */
static void files_and_locks(void)
{
	int fd = open("/dev/null", O_RDONLY);

	early.opened = fd >= 0;
	early.closed = close(fd);
	early.missing = open("/no/such/file", O_RDONLY);
	early.locked = pthread_mutex_lock(&mutex);
	pthread_once(&once, run_once);
	early.locked |= pthread_mutex_unlock(&mutex);
}

static __attribute__((used)) int (*resolve_answer(void))(void)
{
	int i;

	early.resolver_malloc = malloc(100);
	early.resolver_calloc = calloc(10, 10);
	if (early.resolver_malloc)
		for (i = 0; i < 100; i++)
			early.resolver_malloc[i] = (char)i;
	files_and_locks();
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
	pthread_once(&once, run_once);
	early.constructor_malloc = malloc(50);
	if (early.constructor_malloc)
		strcpy(early.constructor_malloc, "constructed");
}
