/* SPDX-License-Identifier: GPL-2.0-only */
/* sharers.h - which processes share the memory of another one without being its threads. */
#ifndef BS_TARGET_SHARERS_H
#define BS_TARGET_SHARERS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define BS_SHARERS_MAX 32

struct bs_sharers {
	size_t n;
	struct bs_sharer {
		pid_t pid;
		/*
		 * Looks like a vfork child (posix_spawn): its parent waits for it in the kernel
		 * and cannot stop before it has started its program or ended.
		 */
		bool vfork;
	} v[BS_SHARERS_MAX];
};

/*
 * All processes that share memory with thread tid, a live one of process pid.  Looks at all of
 * /proc (some microseconds per process), allocates nothing.  0, -ESRCH, -ENOSYS (the kernel has no
 * kcmp: nobody can tell), -E2BIG, -errno.
 */
int bs_sharers_find(pid_t pid, pid_t tid, struct bs_sharers *out);

/* Whether process pid shares memory with thread tid now. */
bool bs_sharers_same(pid_t tid, pid_t pid);

/*
 * What is used of /proc/PID/stat, without allocating: the state letter and the parent.  Threads
 * too.  0 or -errno.
 */
int bs_sharers_stat(pid_t pid, char *state, pid_t *parent);

/*
 * Calls fn for each entry of an open directory of /proc whose name is a number, until it returns
 * something else than 0; returns that, 0 or -errno (-ENOENT: the process has gone).  Starts at the
 * directory's beginning and allocates nothing.
 */
int bs_sharers_each(int dir, int (*fn)(void *ctx, pid_t number), void *ctx);

#endif
