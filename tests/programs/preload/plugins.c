// SPDX-License-Identifier: GPL-2.0-only
/*
 * plugins.c - opens and closes a library again and again, with its own scope first
 * (RTLD_DEEPBIND) and without; blocks made on one side are resized and freed on the other.
 *
 * Usage: plugins LIBRARY
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *library;

static void fail(const char *what)
{
	printf("%s: %s\n", library, what);
	exit(1);
}

static void once(int flags)
{
	void *h = dlopen(library, flags);
	char *(*make)(const char *);
	char *(*grow)(char *);
	void (*give)(void *);
	char *a, *b;

	if (!h)
		fail(dlerror());
	*(void **)&make = dlsym(h, "plugin_make");
	*(void **)&grow = dlsym(h, "plugin_grow");
	*(void **)&give = dlsym(h, "plugin_free");
	if (!make || !grow || !give)
		fail("symbols");
	a = make("from the plugin");
	b = strdup("from the host");
	a = realloc(a, 2000);
	b = grow(b);
	if (!a || strcmp(a, "from the plugin") || !b || strcmp(b, "from the host"))
		fail("contents");
	free(a);
	give(b);
	if (dlclose(h))
		fail(dlerror());
}

static void *worker(void *arg)
{
	int i;

	(void)arg;
	for (i = 0; i < 50; i++)
		once(i % 2 ? RTLD_NOW | RTLD_DEEPBIND : RTLD_LAZY);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t t[3];
	int i;

	if (argc < 2)
		return 64;
	library = argv[1];
	for (i = 0; i < 3; i++)
		if (pthread_create(&t[i], NULL, worker, NULL))
			return 1;
	for (i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	/* A failure of the program's own, and nobody else's, is what dlerror tells. */
	printf("dlerror before: %s\n", dlerror() ? "set" : "none");
	printf("missing: %d\n", dlsym(RTLD_DEFAULT, "no_such_symbol_here") == NULL);
	printf("dlerror after: %s\n", dlerror() ? "set" : "none");
	puts("plugins done");
	return 0;
}
