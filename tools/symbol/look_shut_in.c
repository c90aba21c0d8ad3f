// SPDX-License-Identifier: GPL-2.0-only
/*
 * look_shut_in.c - a process that has next to nothing left.
 *
 * Descriptors first: the tool has some that write to the kernel and to processes.  Then memory that
 * is shared with somebody.  Then limits, then system calls.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "symbol/look.h"
#include "target/proc.h"

static int close_gap(unsigned from, unsigned to)
{
	return from > to || !syscall(SYS_close_range, from, to, 0) ? 0 : -errno;
}

static int int_order(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int close_others(const int *fds, size_t n)
{
	int *keep = calloc(n + 1, sizeof(*keep));
	unsigned from = 0;
	int ret = 0;

	if (!keep)
		return -ENOMEM;
	memcpy(keep, fds, n * sizeof(*keep));
	qsort(keep, n, sizeof(*keep), int_order);
	for (size_t i = 0; i < n && !ret; i++) {
		if (keep[i] < 0)
			continue;
		if ((unsigned)keep[i] > from)
			ret = close_gap(from, (unsigned)keep[i] - 1);
		from = (unsigned)keep[i] + 1;
	}
	free(keep);
	return ret ? ret : close_gap(from, ~0u);
}

/* Rings of events, the record of what was patched: others believe what stands there. */
static int unmap_shared(void)
{
	char *text, *save = NULL;
	size_t size;
	int ret = bs_proc_read("/proc/self/maps", &text, &size);

	if (ret)
		return ret;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		unsigned long start, end;
		char perms[5];

		if (sscanf(line, "%lx-%lx %4s", &start, &end, perms) == 3 && perms[3] == 's' &&
		    munmap((void *)start, end - start))
			ret = -errno;
	}
	free(text);
	return ret;
}

/* Memory that is private and can be written, in pages, is the sixth number (proc(5)). */
static int limit(void)
{
	struct rlimit none = {0, 0}, data;
	unsigned long pages;
	char *text;
	size_t size;
	int ret = bs_proc_read("/proc/self/statm", &text, &size), n;

	if (ret)
		return ret;
	n = sscanf(text, "%*u %*u %*u %*u %*u %lu", &pages);
	free(text);
	if (n != 1)
		return -EIO;
	data.rlim_cur = data.rlim_max =
		(rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + BS_LOOK_MEMORY;
	if (setrlimit(RLIMIT_DATA, &data) || setrlimit(RLIMIT_CORE, &none))
		return -errno;
	return 0;
}

/*
 * Of two calls what libelf and malloc use: fcntl could have the kernel send any signal to any
 * process (F_SETOWN, F_SETSIG, O_ASYNC), madvise could take pages from others (MADV_HWPOISON).
 */
static int filter(void)
{
	static const int calls[] = {
		SCMP_SYS(read),	  SCMP_SYS(pread64),	SCMP_SYS(lseek),    SCMP_SYS(fstat),
		SCMP_SYS(write),  SCMP_SYS(brk),	SCMP_SYS(mmap),	    SCMP_SYS(munmap),
		SCMP_SYS(mremap), SCMP_SYS(futex),	SCMP_SYS(mprotect), SCMP_SYS(newfstatat),
		SCMP_SYS(exit),	  SCMP_SYS(exit_group), SCMP_SYS(recvmsg),  SCMP_SYS(sendmsg),
	};
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int ret = f ? 0 : -ENOMEM;

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]) && !ret; i++)
		ret = seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 0);
	if (!ret)
		ret = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
				       SCMP_A1(SCMP_CMP_EQ, F_GETFD));
	if (!ret)
		ret = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(madvise), 1,
				       SCMP_A2(SCMP_CMP_EQ, MADV_DONTNEED));
	if (!ret)
		ret = seccomp_load(f);
	seccomp_release(f);
	return ret;
}

int bs_look_shut_in(const int *fds, size_t nfds)
{
	int ret;

	/* A terminal's Ctrl-C is for the tool, which then ends this process. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	/* Nothing of a crash is for anybody: no core file, no look by a debugger. */
	if (prctl(PR_SET_DUMPABLE, 0))
		return -errno;
	ret = unmap_shared();
	if (!ret)
		ret = limit();
	if (!ret)
		ret = close_others(fds, nfds);
	return ret ? ret : filter();
}
