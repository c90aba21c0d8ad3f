// SPDX-License-Identifier: MIT
/*
 * malloc.c - the allocation functions of the C library as sites of class `malloc`, for
 * programs that nobody wants to change.
 *
 * Loaded by LD_PRELOAD, each function here takes the place of the one behind it (the C
 * library's, or that of another allocator which the program brings), calls it, and marks:
 *
 *   new           after the memory was got, with the bytes asked for and the caller's return
 *                 address: malloc, calloc, aligned_alloc, memalign, posix_memalign, valloc,
 *                 pvalloc, and realloc(NULL, n)
 *   resize_begin, resize_end   around realloc and reallocarray of a block; the end names the
 *                 block that now holds, its bytes and who asked.  After a failure the old block
 *                 still holds: its bytes are then what the allocator says it can hold, because
 *                 nobody knows any more what was asked for.
 *   drop          before memory is given back: free, free_sized, free_aligned_sized.
 *                 realloc(p, 0) is a drop, whatever the allocator makes of it: glibc frees;
 *                 where another one returns a new block, that is a new of 0 bytes.
 *
 * Nothing is marked where nothing is owned: free(NULL), a failed allocation.  Results, errno
 * and the order of calls are those of the allocator behind; no memory here is ours.
 *
 * An idle mark is two no-op instructions, as at every site.  Nothing on the way locks,
 * allocates, or keeps anything across a call but what the next paragraph describes, so there is
 * nothing to repair in a child after fork, and none of it is in the way of a signal handler.
 *
 * Re-entrancy.  Allocators call each other's public entries: glibc's reallocarray calls
 * realloc, a debugging allocator's calloc may call malloc, and jemalloc's first malloc lets
 * the C library allocate for pthread_atfork.  One call of the program is one mark: what is
 * called while this thread is inside the allocator goes through unmarked.  What says so is the
 * stack address at which the thread went in, in a thread-local variable: a call from further
 * down is nested.  (A plain flag would stay set, and the thread be blind, after a signal
 * handler jumped out of the allocator.)  It is only ever written, never counted up and down,
 * so that consecutive calls do not wait for each other through it.  What a signal handler
 * allocates or frees after interrupting the allocator, which POSIX forbids, is not marked.
 *
 * Early start-up.  See real.c: until the functions behind can be known, memory comes from a
 * small static arena.  It is never given back, and neither marked new nor drop; realloc of
 * such a block takes a new one, which is marked.
 *
 * Not seen: programs that define malloc themselves (where such a program calls reallocarray,
 * which it lacks, the resize alone is seen), static and setuid programs, allocators that also
 * define operator new (jemalloc, tcmalloc) under C++ programs, their own entries (mallocx), and
 * libraries opened with RTLD_DEEPBIND, which find the C library first.  All of them run as
 * always; a block of which such code makes only one end shows up as live or unknown.
 *
 * The library changes one thing that a program can see in its books: it has a thread-local
 * variable, which makes the C library's own vector of each thread 16 bytes larger.
 */
#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "runtime/preload/mark.h"
#include "runtime/preload/real.h"

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define BOOT_PAGE 4096 /* pages of the time before sysconf can be asked */

/* Sites of class malloc; what names the object is the function that was called. */
#define MARK_NEW(fn, p, n, caller)                                                                 \
	BSCOPE_SITE3(BSCOPE_KIND_NEW, "new", BSCOPE_SITE_SIZED | BSCOPE_SITE_CALLER, "malloc", fn, \
		     p, n, caller)
#define MARK_DROP(fn, p) BSCOPE_SITE1(BSCOPE_KIND_DROP, "drop", 0, "malloc", fn, p)
#define MARK_RESIZE_BEGIN(fn, p) \
	BSCOPE_SITE1(BSCOPE_KIND_RESIZE_BEGIN, "resize_begin", 0, "malloc", fn, p)
#define MARK_RESIZE_END(fn, p, n, caller)                                                          \
	BSCOPE_SITE3(BSCOPE_KIND_RESIZE_END, "resize_end", BSCOPE_SITE_SIZED | BSCOPE_SITE_CALLER, \
		     "malloc", fn, p, n, caller)

void free_sized(void *p, size_t n);
void free_aligned_sized(void *p, size_t align, size_t n);

typedef void *(*malloc_fn)(size_t);
typedef void *(*calloc_fn)(size_t, size_t);
typedef void *(*realloc_fn)(void *, size_t);
typedef void *(*reallocarray_fn)(void *, size_t, size_t);
typedef void *(*memalign_fn)(size_t, size_t);
typedef int (*posix_memalign_fn)(void **, size_t, size_t);
typedef void (*free_fn)(void *);
typedef size_t (*usable_size_fn)(void *);

/* Where on its stack this thread went into the allocator; 0: it is outside. */
static __thread uintptr_t inside __attribute__((tls_model("initial-exec")));

#define FRAME()	 ((uintptr_t)__builtin_frame_address(0))
#define NESTED() unlikely(FRAME() < inside)
#define ENTER()	 (inside = FRAME())
#define LEAVE()	 (inside = 0)

EXPORT void *malloc(size_t n)
{
	malloc_fn real = (malloc_fn)bs_real(BS_REAL_MALLOC);
	void *p;

	if (unlikely(!real))
		return bs_boot_alloc(1, n);
	if (NESTED())
		return real(n);
	ENTER();
	p = real(n);
	LEAVE();
	if (likely(p))
		MARK_NEW("malloc", p, n, CALLER());
	return p;
}

EXPORT void *calloc(size_t count, size_t size)
{
	calloc_fn real = (calloc_fn)bs_real(BS_REAL_CALLOC);
	size_t n;
	void *p;

	/* What wraps around is refused behind us; then nothing is marked either. */
	if (__builtin_mul_overflow(count, size, &n))
		n = SIZE_MAX;
	if (unlikely(!real))
		return bs_boot_alloc(1, n);
	if (NESTED())
		return real(count, size);
	ENTER();
	p = real(count, size);
	LEAVE();
	if (likely(p))
		MARK_NEW("calloc", p, n, CALLER());
	return p;
}

/* A block of the bootstrap arena grows: it moves to a real one, if there is one yet. */
static __attribute__((cold, noinline)) void *boot_realloc(void *old, size_t n, void *caller)
{
	malloc_fn real = (malloc_fn)bs_real(BS_REAL_MALLOC);
	size_t keep = bs_boot_size(old);
	void *p;

	if (!n)
		return NULL; /* freed */
	if (real) {
		uintptr_t before = inside;
		bool nested = NESTED();

		ENTER();
		p = real(n);
		inside = nested ? before : 0;
		if (p && !nested)
			MARK_NEW("realloc", p, n, caller);
	} else {
		p = bs_boot_alloc(1, n);
	}
	if (p)
		bs_boot_copy(p, old, n < keep ? n : keep);
	return p;
}

/* realloc(old, 0): gone before it is freed; what comes back, if anything, is another object. */
static __attribute__((cold, noinline)) void *realloc_zero(void *old, void *caller)
{
	realloc_fn real = (realloc_fn)bs_real(BS_REAL_REALLOC);
	void *p;

	MARK_DROP("realloc", old);
	ENTER();
	p = real(old, 0);
	LEAVE();
	if (p)
		MARK_NEW("realloc", p, 0, caller);
	return p;
}

static __attribute__((cold, noinline)) size_t usable_size(void *p)
{
	usable_size_fn real = (usable_size_fn)bs_real(BS_REAL_USABLE_SIZE);

	return real ? real(p) : 0;
}

EXPORT void *realloc(void *old, size_t n)
{
	realloc_fn real = (realloc_fn)bs_real(BS_REAL_REALLOC);
	void *p;

	if (bs_boot_owns(old))
		return boot_realloc(old, n, CALLER());
	if (unlikely(!real))
		return old ? NULL : bs_boot_alloc(1, n);
	if (NESTED())
		return real(old, n);
	if (unlikely(!n && old))
		return realloc_zero(old, CALLER());

	if (old)
		MARK_RESIZE_BEGIN("realloc", old);
	ENTER();
	p = real(old, n);
	LEAVE();
	if (!old) {
		if (likely(p))
			MARK_NEW("realloc", p, n, CALLER());
	} else if (likely(p)) {
		MARK_RESIZE_END("realloc", p, n, CALLER());
	} else {
		size_t was = usable_size(old);

		MARK_RESIZE_END("realloc", old, was, CALLER());
	}
	return p;
}

EXPORT void *reallocarray(void *old, size_t count, size_t size)
{
	reallocarray_fn real = (reallocarray_fn)bs_real(BS_REAL_REALLOCARRAY);
	size_t n;
	bool wraps = __builtin_mul_overflow(count, size, &n);
	void *p;

	if (bs_boot_owns(old))
		return wraps ? bs_boot_alloc(1, SIZE_MAX) : boot_realloc(old, n, CALLER());
	if (unlikely(!real))
		return old ? NULL : bs_boot_alloc(1, wraps ? SIZE_MAX : n);
	if (NESTED())
		return real(old, count, size);
	if (unlikely(!n && !wraps && old))
		return realloc_zero(old, CALLER());

	if (old)
		MARK_RESIZE_BEGIN("reallocarray", old);
	ENTER();
	p = real(old, count, size);
	LEAVE();
	if (!old) {
		if (likely(p))
			MARK_NEW("reallocarray", p, n, CALLER());
	} else if (likely(p)) {
		MARK_RESIZE_END("reallocarray", p, n, CALLER());
	} else {
		size_t was = usable_size(old);

		MARK_RESIZE_END("reallocarray", old, was, CALLER());
	}
	return p;
}

EXPORT void *aligned_alloc(size_t align, size_t n)
{
	memalign_fn real = (memalign_fn)bs_real(BS_REAL_ALIGNED_ALLOC);
	void *p;

	if (unlikely(!real))
		return bs_boot_alloc(align, n);
	if (NESTED())
		return real(align, n);
	ENTER();
	p = real(align, n);
	LEAVE();
	if (likely(p))
		MARK_NEW("aligned_alloc", p, n, CALLER());
	return p;
}

EXPORT void *memalign(size_t align, size_t n)
{
	memalign_fn real = (memalign_fn)bs_real(BS_REAL_MEMALIGN);
	void *p;

	if (unlikely(!real))
		return bs_boot_alloc(align, n);
	if (NESTED())
		return real(align, n);
	ENTER();
	p = real(align, n);
	LEAVE();
	if (likely(p))
		MARK_NEW("memalign", p, n, CALLER());
	return p;
}

EXPORT int posix_memalign(void **out, size_t align, size_t n)
{
	posix_memalign_fn real = (posix_memalign_fn)bs_real(BS_REAL_POSIX_MEMALIGN);
	int err;

	if (unlikely(!real)) {
		*out = bs_boot_alloc(align, n);
		return *out ? 0 : ENOMEM;
	}
	if (NESTED())
		return real(out, align, n);
	ENTER();
	err = real(out, align, n);
	LEAVE();
	/* A null block of 0 bytes is allowed. */
	if (likely(!err)) {
		void *p = *out;

		if (likely(p))
			MARK_NEW("posix_memalign", p, n, CALLER());
	}
	return err;
}

EXPORT void *valloc(size_t n)
{
	malloc_fn real = (malloc_fn)bs_real(BS_REAL_VALLOC);
	void *p;

	if (unlikely(!real))
		return bs_boot_alloc(BOOT_PAGE, n);
	if (NESTED())
		return real(n);
	ENTER();
	p = real(n);
	LEAVE();
	if (likely(p))
		MARK_NEW("valloc", p, n, CALLER());
	return p;
}

EXPORT void *pvalloc(size_t n)
{
	malloc_fn real = (malloc_fn)bs_real(BS_REAL_PVALLOC);
	void *p;

	if (unlikely(!real))
		return bs_boot_alloc(BOOT_PAGE, n);
	if (NESTED())
		return real(n);
	ENTER();
	p = real(n);
	LEAVE();
	if (likely(p))
		MARK_NEW("pvalloc", p, n, CALLER());
	return p;
}

EXPORT void free(void *p)
{
	free_fn real = (free_fn)bs_real(BS_REAL_FREE);

	/* Unknown still: nothing but the arena has handed out memory, or it must leak. */
	if (!p || bs_boot_owns(p) || unlikely(!real))
		return;
	if (NESTED()) {
		real(p);
		return;
	}
	MARK_DROP("free", p);
	ENTER();
	real(p);
	LEAVE();
}

/*
 * C23.  Both may do what free does, and they go through the name free, so that a program that
 * has its own free but not these still gets its own.
 */
EXPORT void free_sized(void *p, size_t n)
{
	(void)n;
	free(p);
}

EXPORT void free_aligned_sized(void *p, size_t align, size_t n)
{
	(void)align;
	(void)n;
	free(p);
}

/* No mark: only blocks of the arena need an answer that the allocator does not have. */
EXPORT size_t malloc_usable_size(void *p)
{
	if (bs_boot_owns(p))
		return bs_boot_size(p);
	return usable_size(p);
}
