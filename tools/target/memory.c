// SPDX-License-Identifier: GPL-2.0-only
/* memory.c - the memory of another process, read and written in pieces. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

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

int bs_memory_open(pid_t pid)
{
	/* As above. */
	pid_t tid = bs_proc_live_thread(pid);
	char path[64];
	int fd;

	if (tid < 0)
		return -ESRCH;
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)tid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	return errno == ENOENT ? -ESRCH : -errno;
}

/* Memory that nobody has any more is as long as an empty file. */
static int moved(ssize_t n, size_t size)
{
	if (n < 0)
		return errno == EIO ? -EFAULT : -errno;
	return !n && size ? -ESRCH : (size_t)n == size ? 0 : -EFAULT;
}

int bs_memory_get(int mem, uint64_t addr, void *to, size_t size)
{
	return moved(pread(mem, to, size, (off_t)addr), size);
}

int bs_memory_put(int mem, uint64_t addr, const void *from, size_t size)
{
	return moved(pwrite(mem, from, size, (off_t)addr), size);
}
