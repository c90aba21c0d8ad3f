/* SPDX-License-Identifier: MIT */
/*
 * pool.c - reserves the memory for the threads' buffers and the table of followed objects when the
 * library is loaded, so that no system call is needed later, when a site is lit and the program may
 * be forbidden to make any.
 *
 * Nobody touches it until then: it is address space, no memory.  A program that has little of
 * that, or a system that counts it as memory, gets a small pool.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/runtime.h"

#define BUFFERS_MAX 1024u
#define BUFFERS_MIN 16u
/* At most this part of a limited address space. */
#define SHARE 64u

_Static_assert(sizeof(struct bscope_pool) == BSCOPE_BUFFER_HEAD_BYTES &&
		       sizeof(struct bscope_buffer) == BSCOPE_BUFFER_HEAD_BYTES +
							       16 * BSCOPE_BUFFER_SLOTS +
							       8 * BSCOPE_STRATA,
	       "whole cache lines");

/*
 * Under strict overcommit (2) what is reserved counts as used: Documentation/mm/overcommit.  Not by
 * functions that a preload library stands in for: this is no descriptor of the program's.
 */
static int counts_as_used(void)
{
	int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/sys/vm/overcommit_memory",
			      O_RDONLY | O_CLOEXEC);
	char mode = 0;

	if (fd < 0)
		return 0;
	if (read(fd, &mode, 1) != 1)
		mode = 0;
	syscall(SYS_close, fd);
	return mode == '2';
}

/* What is reserved counts for both limits, touched or not. */
static uint64_t within(int resource, uint64_t n)
{
	struct rlimit limit;

	if (!getrlimit((__rlimit_resource_t)resource, &limit) && limit.rlim_cur != RLIM_INFINITY)
		while (n && n * sizeof(struct bscope_buffer) > limit.rlim_cur / SHARE)
			n /= 2;
	return n;
}

static uint64_t buffers(void)
{
	const char *wish = secure_getenv("BSCOPE_BUFFERS");
	uint64_t n = counts_as_used() ? BUFFERS_MIN : BUFFERS_MAX;

	/* A power of two, for those who lock their memory or count their address space. */
	if (wish && *wish >= '0' && *wish <= '9') {
		unsigned long most = strtoul(wish, NULL, 10);

		for (n = BUFFERS_MAX; n > most;)
			n /= 2;
	}
	n = within(RLIMIT_AS, n);
	return within(RLIMIT_DATA, n);
}

void bs_pool_reserve(void)
{
	uint64_t n = buffers();
	size_t buffers_size = sizeof(struct bscope_pool) + n * sizeof(struct bscope_buffer);
	size_t size = buffers_size + sizeof(struct bscope_follow);
	void *p;

	if (!n)
		return;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		 -1, 0);
	if (p == MAP_FAILED)
		return;
	/* Without this (before Linux 4.14) a child would go on in its parent's buffers. */
	if (madvise(p, size, MADV_WIPEONFORK)) {
		munmap(p, size);
		return;
	}
	/* Core dumps are no place for it, and huge pages would make it memory at once. */
	madvise(p, size, MADV_DONTDUMP);
	madvise(p, size, MADV_NOHUGEPAGE);
	bs_control.buffers = n;
	bs_control.pool_bytes = size;
	bs_control.table = (uint64_t)(uintptr_t)p + buffers_size;
	__atomic_store_n(&bs_control.pool, (uint64_t)(uintptr_t)p, __ATOMIC_RELEASE);
}
