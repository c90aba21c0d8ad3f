/* SPDX-License-Identifier: GPL-2.0-only */
/* memory.h - the memory of another process, read and written in pieces. */
#ifndef BS_TARGET_MEMORY_H
#define BS_TARGET_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* The kernel's limit of pieces in one call (UIO_MAXIOV) is twice as high. */
#define BS_MEMORY_PIECES 512

/*
 * Copies n pieces, at most BS_MEMORY_PIECES, from the process (remote) or into it; all of them, or
 * it is an error: -ESRCH (it has gone), -EFAULT (not mapped, not writable), -EPERM.  A process
 * whose first thread is dead is reached through another.
 */
int bs_memory_readv(pid_t pid, const struct iovec *local, const struct iovec *remote, size_t n);
int bs_memory_writev(pid_t pid, const struct iovec *local, const struct iovec *remote, size_t n);

/* The same for one piece. */
int bs_memory_read(pid_t pid, uint64_t addr, void *to, size_t size);
int bs_memory_write(pid_t pid, uint64_t addr, const void *from, size_t size);

/*
 * A descriptor of the memory that the process has now, or -ESRCH, -EPERM, -errno.  It stays that
 * memory's: what another program has, which the process executes since, is not reached by it.
 */
int bs_memory_open(pid_t pid);

/* Through such a descriptor, as above: 0; -ESRCH: that memory is nobody's any more; or -errno. */
int bs_memory_get(int mem, uint64_t addr, void *to, size_t size);
int bs_memory_put(int mem, uint64_t addr, const void *from, size_t size);

#endif
