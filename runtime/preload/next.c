// SPDX-License-Identifier: MIT
/*
 * next.c - finds the functions behind a preload library.
 *
 * Each is looked up by itself: what always exists is found without an error message, for which the
 * dynamic linker would allocate, so that an allocator that locks its mutexes by our functions
 * finds them.  Two threads that look at the same time store the same value.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>

#include "runtime/preload/next.h"

/* Of the section "bs_next", by the linker. */
extern struct bs_next __start_bs_next[] __attribute__((visibility("hidden")));
extern struct bs_next __stop_bs_next[] __attribute__((visibility("hidden")));

/* As in real.c: points to itself once this library has been relocated. */
static void *const volatile relocated_self = (void *)&relocated_self;

bool bs_next_early(void)
{
	return relocated_self != (const void *)&relocated_self;
}

void *bs_next_find(struct bs_next *n)
{
	void *p = NULL;
	int saved;

	if (bs_next_early())
		return NULL;
	saved = errno;
	if (n->version)
		p = dlvsym(RTLD_NEXT, n->name, n->version);
	if (!p)
		p = dlsym(RTLD_NEXT, n->name);
	__atomic_store_n(&n->fn, p, __ATOMIC_RELAXED);
	/* The program's next dlerror() is not to see what we missed. */
	if (!p)
		dlerror();
	errno = saved;
	return p;
}

__attribute__((constructor(101))) static void next_init(void)
{
	/* cppcheck-suppress comparePointers; one section */
	for (struct bs_next *n = __start_bs_next; n < __stop_bs_next; n++)
		bs_next(n);
}
