/* SPDX-License-Identifier: MIT */
/*
 * next.h - the functions behind those that a preload library stands in for: of the C library, or
 * of another library that stands in for them, too.
 *
 * BS_NEXT_DECLARE(pthread_mutex_lock);
 * ...
 *	int (*next)(pthread_mutex_t *) = BS_NEXT(pthread_mutex_lock);
 *
 * Any thread at any time.  Nothing locks or allocates, but for the dynamic linker, which is asked
 * when the library is set up, or by the first call before that.
 */
#ifndef BS_PRELOAD_NEXT_H
#define BS_PRELOAD_NEXT_H

#include <stdbool.h>
#include <stddef.h>

struct bs_next {
	void *fn; /* NULL until found */
	const char *name;
	const char *version; /* NULL: the default one */
};

/* All of a library lie in one section: its constructor finds them all. */
#define BS_NEXT_VERSION(name, version)       \
	static struct bs_next bs_next_##name \
		__attribute__((section("bs_next"), aligned(8))) = {NULL, #name, version}
#define BS_NEXT_DECLARE(name) BS_NEXT_VERSION(name, NULL)

/*
 * The function, found now if need be; errno is left alone.  NULL before this library is relocated,
 * or when nobody behind us has it.
 */
void *bs_next_find(struct bs_next *n) __attribute__((cold, noinline, visibility("hidden")));

/*
 * True before this library is relocated: an IFUNC resolver of a library that was relocated earlier
 * is at work.  There is one thread then.  Nothing outside of this library can be called, and there
 * is no errno and no thread-local variable.
 */
bool bs_next_early(void) __attribute__((cold, noinline, visibility("hidden")));

static inline __attribute__((always_inline)) void *bs_next(struct bs_next *n)
{
	void *p = __atomic_load_n(&n->fn, __ATOMIC_RELAXED);

	return __builtin_expect(p != NULL, 1) ? p : bs_next_find(n);
}

#define BS_NEXT(name) ((__typeof__(&name))bs_next(&bs_next_##name))

#endif
