/* SPDX-License-Identifier: MIT */
/* fd.h - what the files of the preload library for descriptors share; what it does is in fd.c. */
#ifndef BS_PRELOAD_FD_H
#define BS_PRELOAD_FD_H

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "runtime/preload/mark.h"
#include "runtime/preload/next.h"
#include "runtime/runtime.h"

#pragma GCC visibility push(hidden)

/* Sites of class fd; what names the object is the function that was called. */
#define MARK_NEW(fn, fd, caller) \
	BSCOPE_SITE3(BSCOPE_KIND_NEW, "new", BSCOPE_SITE_CALLER, "fd", fn, fd, 0, caller)
#define MARK_DROP(fn, fd, vain, caller)                                                          \
	BSCOPE_SITE3(BSCOPE_KIND_DROP, "drop", BSCOPE_SITE_CALLER | BSCOPE_SITE_TRIES, "fd", fn, \
		     fd, vain, caller)

/* Numbers that were given out at some time; of greater ones it is taken for granted. */
#define BS_GIVEN_MAX 65536u
extern uint64_t bs_given[BS_GIVEN_MAX / 64];

static inline bool given(int fd)
{
	return fd >= 0 && ((unsigned)fd >= BS_GIVEN_MAX ||
			   __atomic_load_n(&bs_given[fd / 64], __ATOMIC_RELAXED) >> fd % 64 & 1);
}

static inline void give(int fd)
{
	if (!given(fd))
		__atomic_fetch_or(&bs_given[fd / 64], 1ull << fd % 64, __ATOMIC_RELAXED);
}

/* A descriptor was got, or not. */
#define GOT(fn, fd, caller)                       \
	do {                                      \
		if (likely((fd) >= 0)) {          \
			give(fd);                 \
			MARK_NEW(fn, fd, caller); \
		}                                 \
	} while (0)

/* Where there is no function behind us.  errno is not there before it can be called, either. */
static inline void missing(void)
{
	if (!bs_next_early())
		errno = ENOSYS;
}

/* Calls the function behind us with args, in brackets; fails with ENOSYS where there is none. */
#define CALL(failure, name, args)                                       \
	({                                                              \
		__typeof__(&name) next_ = BS_NEXT(name);                \
		unlikely(!next_) ? (missing(), (failure)) : next_ args; \
	})

/*
 * What resolvers do that read a file (/proc/cpuinfo) before this library is relocated: the system
 * calls themselves.  -1 if they fail, without errno.
 */
int bs_early_openat(int dir, const char *path, int flags, unsigned mode);
int bs_early_close(int fd);

/* The descriptor of a stream, -1 where it has none; errno is left alone. */
static inline int stream_fd(FILE *f)
{
	int saved = errno, fd = fileno(f);

	errno = saved;
	return fd;
}

static inline int dir_fd(DIR *d)
{
	int saved = errno, fd = dirfd(d);

	errno = saved;
	return fd;
}

#pragma GCC visibility pop

#endif
