// SPDX-License-Identifier: GPL-2.0-only
/* perf.c - one perf event for each probe: for kernels without uprobe_multi. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/perf_event.h>

#include "collect/light.h"

/* Below this many links threads are not worth it. */
#define CLOSE_SERIAL 8
#define CLOSE_THREADS 64

static int read_uint(const char *path, const char *format, unsigned int *value)
{
	FILE *file = fopen(path, "re");
	int ret = 0;

	if (!file)
		return errno == ENOENT ? -ENOSYS : -errno;
	if (fscanf(file, format, value) != 1)
		ret = -ENOSYS;
	fclose(file);
	return ret;
}

/* One descriptor for each site: what the soft limit gives (1,024) may not do. */
static void raise_nofile(size_t n)
{
	struct rlimit limit;
	rlim_t want = n + 1024;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= want)
		return;
	limit.rlim_cur = want;
	if (limit.rlim_max < want) {
		struct rlimit raised = {want, want};

		if (!setrlimit(RLIMIT_NOFILE, &raised))
			return;
		limit.rlim_cur = limit.rlim_max;
	}
	setrlimit(RLIMIT_NOFILE, &limit);
}

static size_t open_descriptors(void)
{
	/* The number of the next free one; links are the only ones that come by thousands. */
	int fd = dup(0);

	if (fd < 0)
		return 1024;
	close(fd);
	return (size_t)fd;
}

static int attach_one(int prog_fd, unsigned int type, unsigned int ref_shift, const char *path,
		      const struct bs_probe *probe, int *fd)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .perf_event.bpf_cookie = probe->cookie);
	struct perf_event_attr attr = {0};
	int event, link;

	attr.size = sizeof(attr);
	attr.type = type;
	attr.config = probe->ref_ctr << ref_shift;
	if (attr.config >> ref_shift != probe->ref_ctr)
		return -E2BIG;
	attr.config1 = (uintptr_t)path;
	attr.config2 = probe->offset;
	event = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (event < 0)
		return -errno;
	link = bpf_link_create(prog_fd, event, BPF_PERF_EVENT, &opts);
	if (link < 0)
		link = -errno;
	/* The link keeps the event. */
	close(event);
	if (link < 0)
		return link;
	*fd = link;
	return 0;
}

int bs_perf_attach(int prog_fd, const char *path, const struct bs_probe *probes, size_t n, int *fds)
{
	unsigned int type, ref_shift;
	size_t i;
	int ret;

	ret = read_uint("/sys/bus/event_source/devices/uprobe/type", "%u", &type);
	if (!ret)
		ret = read_uint("/sys/bus/event_source/devices/uprobe/format/ref_ctr_offset",
				"config:%u", &ref_shift);
	if (ret)
		return ret;
	if (ref_shift > 63)
		return -ENOSYS;
	raise_nofile(open_descriptors() + n);
	for (i = 0; i < n; i++) {
		ret = attach_one(prog_fd, type, ref_shift, path, &probes[i], &fds[i]);
		if (ret) {
			bs_links_close(fds, i);
			return ret;
		}
	}
	return 0;
}

struct closing {
	const int *fds;
	size_t n;
	atomic_size_t next;
};

static void *close_some(void *arg)
{
	struct closing *work = arg;
	size_t i;

	while ((i = atomic_fetch_add(&work->next, 1)) < work->n)
		close(work->fds[i]);
	return NULL;
}

void bs_links_close(const int *fds, size_t n)
{
	struct closing work = {.fds = fds, .n = n};
	pthread_t threads[CLOSE_THREADS];
	size_t started = 0;

	if (n >= CLOSE_SERIAL)
		while (started < CLOSE_THREADS &&
		       !pthread_create(&threads[started], NULL, close_some, &work))
			started++;
	close_some(&work);
	while (started)
		pthread_join(threads[--started], NULL);
}
