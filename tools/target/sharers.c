// SPDX-License-Identifier: GPL-2.0-only
/* sharers.c - which processes share the memory of another one without being its threads. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/kcmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/num.h"
#include "target/sharers.h"

int bs_sharers_each(int dir, int (*fn)(void *ctx, pid_t number), void *ctx)
{
	/* Not readdir(): it allocates, and this runs while a process stands still. */
	_Alignas(struct dirent64) char buf[16384];
	long got;

	if (lseek(dir, 0, SEEK_SET) < 0)
		return -errno;
	while ((got = syscall(SYS_getdents64, dir, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < got;) {
			const struct dirent64 *d = (const struct dirent64 *)(buf + at);
			uint64_t number;
			int ret;

			at += d->d_reclen;
			if (bs_num_u64(d->d_name, 1, INT_MAX, &number))
				continue;
			ret = fn(ctx, (pid_t)number);
			if (ret)
				return ret;
		}
	}
	return got < 0 ? -errno : 0;
}

int bs_sharers_stat(pid_t pid, char *state, pid_t *parent)
{
	char path[64], buf[512], *s;
	ssize_t got;
	int fd, ret;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	got = read(fd, buf, sizeof(buf) - 1);
	ret = got < 0 ? -errno : -ESRCH;
	close(fd);
	if (got <= 0)
		return ret;
	buf[got] = '\0';
	/* The name before it may hold anything. */
	s = strrchr(buf, ')');
	if (!s || sscanf(s + 1, " %c %d", state, parent) != 2)
		return -EIO;
	return 0;
}

/* Kernel threads have none, nor has who has ended: to kcmp(2) these have all the same. */
static int has_memory(pid_t pid)
{
	char path[64], first = '0';
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	got = read(fd, &first, 1);
	close(fd);
	return got == 1 && first != '0';
}

/* 1: the same memory, 0: not (or nobody can tell about this one), -ENOSYS, -ESRCH: tid has gone. */
static int same(pid_t tid, pid_t pid)
{
	long ret = syscall(SYS_kcmp, tid, pid, KCMP_VM, 0, 0);

	if (!ret)
		return has_memory(pid);
	if (ret < 0 && errno == ENOSYS)
		return -ENOSYS;
	/*
	 * -EPERM: a process that we may not look into.  Who shares memory with one that we may
	 * trace has had its rights when that began; we take it that it has them still.
	 */
	return 0;
}

bool bs_sharers_same(pid_t tid, pid_t pid)
{
	return same(tid, pid) == 1;
}

static int asleep(void *ctx, pid_t tid)
{
	pid_t parent;
	char state;

	(void)ctx;
	return !bs_sharers_stat(tid, &state, &parent) && state == 'D';
}

static bool has_thread_asleep(pid_t pid)
{
	char path[64];
	int fd, ret;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ret = bs_sharers_each(fd, asleep, NULL);
	close(fd);
	return ret == 1;
}

struct search {
	pid_t pid, tid;
	struct bs_sharers *out;
};

static int compare(void *ctx, pid_t pid)
{
	struct search *search = ctx;
	struct bs_sharers *out = search->out;
	int ret;

	if (pid == search->pid)
		return 0;
	ret = same(search->tid, pid);
	if (ret <= 0)
		return ret;
	if (out->n == BS_SHARERS_MAX)
		return -E2BIG;
	out->v[out->n++] = (struct bs_sharer){.pid = pid};
	return 0;
}

int bs_sharers_find(pid_t pid, pid_t tid, struct bs_sharers *out)
{
	struct search search = {.pid = pid, .tid = tid, .out = out};
	pid_t parent;
	char state;
	int fd, ret;

	out->n = 0;
	fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = bs_sharers_each(fd, compare, &search);
	close(fd);
	if (ret)
		return ret;
	/*
	 * A child of vfork holds its parent in an uninterruptible sleep.  A guess, and a wrong one
	 * does no harm: see stop_threads.c.
	 */
	for (size_t i = 0; i < out->n; i++)
		if (!bs_sharers_stat(out->v[i].pid, &state, &parent))
			out->v[i].vfork = has_thread_asleep(parent);
	return 0;
}
