// SPDX-License-Identifier: MIT
/*
 * real.c - finds the allocator behind the preload library, and bridges the time before it can
 * be found.
 *
 * Why not glibc's own __libc_malloc and friends: a program that brings another allocator
 * (jemalloc under redis-server) must keep it, and its pointers must only ever meet its own
 * functions.  RTLD_NEXT asks for exactly what the program would have called without us.
 *
 * All functions are looked up at once, by this library's constructor or by whoever allocates
 * before it ran.  Two threads that look at the same time store the same values.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>

#include "runtime/preload/real.h"

void *bs_real_table[BS_REAL_COUNT];

static const char *const real_name[BS_REAL_COUNT] = {
	[BS_REAL_MALLOC] = "malloc",
	[BS_REAL_CALLOC] = "calloc",
	[BS_REAL_REALLOC] = "realloc",
	[BS_REAL_REALLOCARRAY] = "reallocarray",
	[BS_REAL_ALIGNED_ALLOC] = "aligned_alloc",
	[BS_REAL_POSIX_MEMALIGN] = "posix_memalign",
	[BS_REAL_MEMALIGN] = "memalign",
	[BS_REAL_VALLOC] = "valloc",
	[BS_REAL_PVALLOC] = "pvalloc",
	[BS_REAL_FREE] = "free",
	[BS_REAL_USABLE_SIZE] = "malloc_usable_size",
};

/*
 * Points to itself once the dynamic linker has relocated this library.  Before that (an IFUNC
 * resolver of a library relocated earlier allocates) no GOT entry can be used: no call out of
 * this library, no errno, no thread-local variable, whose offset is a relocation as well.
 */
static void *const volatile relocated_self = (void *)&relocated_self;

static bool relocated(void)
{
	return relocated_self == (const void *)&relocated_self;
}

/* dlsym allocates when it fails (its error message): that must not look for malloc again. */
static __thread bool finding __attribute__((tls_model("initial-exec")));

static void find_all(void)
{
	bool missing = false;
	int i;

	for (i = 0; i < BS_REAL_COUNT; i++) {
		void *p = dlsym(RTLD_NEXT, real_name[i]);

		if (!p)
			missing = true;
		__atomic_store_n(&bs_real_table[i], p, __ATOMIC_RELAXED);
	}
	/* The program's next dlerror() is not to see what we missed. */
	if (missing)
		dlerror();
}

void *bs_real_find(enum bs_real_fn fn)
{
	int saved;

	if (!relocated() || finding)
		return NULL;
	saved = errno;
	finding = true;
	find_all();
	finding = false;
	errno = saved;
	return __atomic_load_n(&bs_real_table[fn], __ATOMIC_RELAXED);
}

__attribute__((constructor(101))) static void real_init(void)
{
	bs_real(BS_REAL_MALLOC);
}

/*
 * The bootstrap arena: blocks one after the other, each behind a header that keeps its size
 * (realloc needs it to copy the block out).  Pages that nobody touches cost nothing.
 */
struct boot_header {
	size_t bytes;
	size_t pad; /* keeps blocks aligned as malloc's are */
};

char bs_boot_arena[BS_BOOT_BYTES] __attribute__((aligned(64)));
static size_t boot_used;

void *bs_boot_alloc(size_t align, size_t bytes)
{
	struct boot_header *h;
	uintptr_t at;
	size_t need;

	if (align < sizeof(*h))
		align = sizeof(*h);
	if (bytes > BS_BOOT_BYTES || align > BS_BOOT_BYTES || (align & (align - 1)))
		goto full;
	need = sizeof(*h) + (align - 1) + bytes;
	at = __atomic_load_n(&boot_used, __ATOMIC_RELAXED);
	do {
		if (need > BS_BOOT_BYTES - at)
			goto full;
	} while (!__atomic_compare_exchange_n(&boot_used, &at, at + need, true, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));

	at += (uintptr_t)bs_boot_arena + sizeof(*h);
	at = (at + align - 1) & ~(uintptr_t)(align - 1);
	h = (struct boot_header *)at - 1;
	h->bytes = bytes;
	return (void *)at;
full:
	if (relocated())
		errno = ENOMEM;
	return NULL;
}

size_t bs_boot_size(const void *p)
{
	return ((const struct boot_header *)p)[-1].bytes;
}

void bs_boot_copy(void *to, const void *from, size_t bytes)
{
	/* volatile: else the compiler makes it a call to memcpy */
	volatile char *t = to;
	const volatile char *f = from;

	while (bytes--)
		*t++ = *f++;
}
