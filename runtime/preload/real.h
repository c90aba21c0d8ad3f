/* SPDX-License-Identifier: MIT */
/*
 * real.h - the allocator behind the preload library: its functions, and the memory handed out
 * while they cannot be known yet.
 *
 * Everything here may be called from any thread at any time, before the library is relocated
 * too.  Nothing prints, locks or allocates, but for bs_real_find, which asks the dynamic
 * linker when it is called for the first time.
 */
#ifndef BS_PRELOAD_REAL_H
#define BS_PRELOAD_REAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

enum bs_real_fn {
	BS_REAL_MALLOC,
	BS_REAL_CALLOC,
	BS_REAL_REALLOC,
	BS_REAL_REALLOCARRAY,
	BS_REAL_ALIGNED_ALLOC,
	BS_REAL_POSIX_MEMALIGN,
	BS_REAL_MEMALIGN,
	BS_REAL_VALLOC,
	BS_REAL_PVALLOC,
	BS_REAL_FREE,
	BS_REAL_USABLE_SIZE,
	BS_REAL_COUNT,
};

/* NULL until found.  Read with bs_real(). */
extern void *bs_real_table[BS_REAL_COUNT];

/*
 * The function, found now if need be; errno is left alone.  NULL while that cannot be said:
 * before this library is relocated, while the dynamic linker is looking for it on this very
 * thread, or because nobody behind us has it.
 */
void *bs_real_find(enum bs_real_fn fn) __attribute__((cold, noinline));

static inline __attribute__((always_inline)) void *bs_real(enum bs_real_fn fn)
{
	void *p = __atomic_load_n(&bs_real_table[fn], __ATOMIC_RELAXED);

	return __builtin_expect(p != NULL, 1) ? p : bs_real_find(fn);
}

#define BS_BOOT_BYTES (64u * 1024)
extern char bs_boot_arena[BS_BOOT_BYTES];

/*
 * Zeroed memory that is never given back.  NULL, and errno ENOMEM where errno can be written
 * already, when the arena is used up or align is not a power of two.
 */
void *bs_boot_alloc(size_t align, size_t bytes) __attribute__((cold, noinline));

/* Was it handed out by bs_boot_alloc? */
static inline __attribute__((always_inline)) bool bs_boot_owns(const void *p)
{
	return __builtin_expect((uintptr_t)p - (uintptr_t)bs_boot_arena < BS_BOOT_BYTES, 0);
}

/* The size that was asked for; p is owned. */
size_t bs_boot_size(const void *p) __attribute__((cold, noinline));

/* memcpy without a call: it may not be bound yet. */
void bs_boot_copy(void *to, const void *from, size_t bytes) __attribute__((cold, noinline));

#pragma GCC visibility pop

#endif
