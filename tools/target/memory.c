// SPDX-License-Identifier: GPL-2.0-only
/* memory.c - the memory of another process, read and written in pieces. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>

#include "target/memory.h"
#include "target/proc.h"

static int transfer(bool write, pid_t pid, const struct iovec *local, const struct iovec *remote,
		    size_t n)
{
	size_t want = 0;
	ssize_t got;

	for (size_t i = 0; i < n; i++)
		want += remote[i].iov_len;
	if (write)
		got = process_vm_writev(pid, local, n, remote, n, 0);
	else
		got = process_vm_readv(pid, local, n, remote, n, 0);
	if (got < 0)
		return -errno;
	return (size_t)got == want ? 0 : -EFAULT;
}

static int through_any(bool write, pid_t pid, const struct iovec *local, const struct iovec *remote,
		       size_t n)
{
	int ret = transfer(write, pid, local, remote, n);
	pid_t tid;

	if (ret != -ESRCH)
		return ret;
	/* A dead thread has no memory, though the others have. */
	tid = bs_proc_live_thread(pid);
	return tid > 0 && tid != pid ? transfer(write, tid, local, remote, n) : ret;
}

int bs_memory_readv(pid_t pid, const struct iovec *local, const struct iovec *remote, size_t n)
{
	return through_any(false, pid, local, remote, n);
}

int bs_memory_writev(pid_t pid, const struct iovec *local, const struct iovec *remote, size_t n)
{
	return through_any(true, pid, local, remote, n);
}

int bs_memory_read(pid_t pid, uint64_t addr, void *to, size_t size)
{
	/* What is read into need not have been written before. */
	/* cppcheck-suppress ctuuninitvar */
	const struct iovec local = {to, size}, remote = {(void *)(uintptr_t)addr, size};

	return through_any(false, pid, &local, &remote, 1);
}

int bs_memory_write(pid_t pid, uint64_t addr, const void *from, size_t size)
{
	const struct iovec local = {(void *)(uintptr_t)from, size};
	const struct iovec remote = {(void *)(uintptr_t)addr, size};

	return through_any(true, pid, &local, &remote, 1);
}
