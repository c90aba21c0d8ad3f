/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * recorder.c - loaded by LD_PRELOAD, writes every allocation to the file BSCOPE_ALLOC_TRACE, and
 * the process's modules to that name with ".maps" when it exits.
 *
 * Only the first process that finds no such file writes; no forked child does.  The file is mapped,
 * so that nothing must be written at the end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/trace.h"
#include "runtime/preload/real.h"

#define FRAMES 12 /* of them a few are ours */
#define KEPT   5

static struct trace_head *file;
static uint64_t threads;
static __thread bool inside __attribute__((tls_model("initial-exec")));
static __thread uint64_t thread __attribute__((tls_model("initial-exec")));

static uint64_t stack_hash(const void *caller)
{
	void *frames[FRAMES];
	uint64_t hash = (uintptr_t)caller;
	int n, first = 0;

	/* It may allocate when it is called for the first time. */
	inside = true;
	n = backtrace(frames, FRAMES);
	inside = false;
	while (first < n && frames[first] != caller)
		first++;
	for (int i = first + 1; i < n && i < first + KEPT; i++)
		hash = (hash ^ (uintptr_t)frames[i]) * 0x9e3779b97f4a7c15ull;
	return hash;
}

static void put(enum trace_op op, enum trace_site site, const void *id, size_t bytes,
		const void *caller)
{
	struct trace_head *f = __atomic_load_n(&file, __ATOMIC_RELAXED);
	struct trace_record *r;
	uint64_t i, stack;

	if (!f || inside)
		return;
	if (!thread)
		thread = __atomic_add_fetch(&threads, 1, __ATOMIC_RELAXED) & 0xffff;
	stack = op == TRACE_NEW || op == TRACE_TO ? stack_hash(caller) : 0;
	i = __atomic_fetch_add(&f->n, 1, __ATOMIC_RELAXED);
	if (i >= TRACE_ROOM)
		return;
	r = (struct trace_record *)(f + 1) + i;
	*r = (struct trace_record){
		.id = (uintptr_t)id,
		.what = op | (uint64_t)site << TRACE_SITE_SHIFT | thread << 8 |
			(uint64_t)bytes << 24,
		.caller = (uintptr_t)caller,
		.stack = stack,
	};
}

static void child(void)
{
	__atomic_store_n(&file, NULL, __ATOMIC_RELAXED);
}

static void __attribute__((constructor)) start(void)
{
	const char *name = getenv("BSCOPE_ALLOC_TRACE");
	size_t size = sizeof(*file) + (size_t)TRACE_ROOM * sizeof(struct trace_record);
	int fd = name ? open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
	void *map;

	if (fd < 0)
		return;
	if (ftruncate(fd, (off_t)size))
		goto out;
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		goto out;
	stack_hash(NULL);
	pthread_atfork(NULL, NULL, child);
	((struct trace_head *)map)->magic = TRACE_MAGIC;
	__atomic_store_n(&file, map, __ATOMIC_RELAXED);
out:
	close(fd);
}

static void __attribute__((destructor)) end(void)
{
	char name[4096], buf[4096];
	ssize_t n;
	int in, out;

	if (!file || snprintf(name, sizeof(name), "%s.maps", getenv("BSCOPE_ALLOC_TRACE")) < 0)
		return;
	child();
	in = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	out = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	while ((n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, (size_t)n) != n)
			break;
	close(in);
	close(out);
}

/* --- the functions -------------------------------------------------------------------------------
 */

#define EXPORT	 __attribute__((visibility("default")))
#define CALLER() __builtin_return_address(0)

static void *got(enum trace_site site, void *p, size_t bytes, const void *caller)
{
	if (p)
		put(TRACE_NEW, site, p, bytes, caller);
	return p;
}

static void *get(enum trace_site site, size_t bytes, const void *caller)
{
	void *(*real)(size_t) = bs_real(BS_REAL_MALLOC);

	return real ? got(site, real(bytes), bytes, caller) : bs_boot_alloc(16, bytes);
}

static void *resize(enum trace_site site, void *p, size_t bytes, const void *caller)
{
	void *(*real)(void *, size_t) = bs_real(BS_REAL_REALLOC);
	void *q;

	if (!p)
		return get(site, bytes, caller);
	if (bs_boot_owns(p)) {
		size_t old = bs_boot_size(p);

		q = get(site, bytes, caller);
		if (q)
			memcpy(q, p, old < bytes ? old : bytes);
		return q;
	}
	if (!bytes) {
		put(TRACE_DROP, site, p, 0, caller);
		return got(site, real(p, 0), 0, caller);
	}
	put(TRACE_FROM, site, p, 0, caller);
	q = real(p, bytes);
	put(TRACE_TO, site, q ? q : p, bytes, caller);
	return q;
}

EXPORT void *malloc(size_t bytes)
{
	return get(TRACE_MALLOC, bytes, CALLER());
}

EXPORT void *calloc(size_t n, size_t bytes)
{
	void *(*real)(size_t, size_t) = bs_real(BS_REAL_CALLOC);

	if (!real) /* that memory is zeroed */
		return bs_boot_alloc(16, n * bytes);
	return got(TRACE_CALLOC, real(n, bytes), n * bytes, CALLER());
}

EXPORT void *realloc(void *p, size_t bytes)
{
	return resize(TRACE_REALLOC, p, bytes, CALLER());
}

EXPORT void *reallocarray(void *p, size_t n, size_t bytes)
{
	size_t all;

	if (__builtin_mul_overflow(n, bytes, &all)) {
		errno = ENOMEM;
		return NULL;
	}
	return resize(TRACE_REALLOCARRAY, p, all, CALLER());
}

EXPORT int posix_memalign(void **p, size_t align, size_t bytes)
{
	int (*real)(void **, size_t, size_t) = bs_real(BS_REAL_POSIX_MEMALIGN);
	int err = real(p, align, bytes);

	if (!err)
		got(TRACE_POSIX_MEMALIGN, *p, bytes, CALLER());
	return err;
}

EXPORT void *aligned_alloc(size_t align, size_t bytes)
{
	void *(*real)(size_t, size_t) = bs_real(BS_REAL_ALIGNED_ALLOC);

	return got(TRACE_ALIGNED_ALLOC, real(align, bytes), bytes, CALLER());
}

EXPORT void *memalign(size_t align, size_t bytes)
{
	void *(*real)(size_t, size_t) = bs_real(BS_REAL_MEMALIGN);

	return got(TRACE_MEMALIGN, real(align, bytes), bytes, CALLER());
}

EXPORT void free(void *p)
{
	void (*real)(void *) = bs_real(BS_REAL_FREE);

	if (!p || bs_boot_owns(p))
		return;
	put(TRACE_DROP, TRACE_FREE, p, 0, CALLER());
	real(p);
}
