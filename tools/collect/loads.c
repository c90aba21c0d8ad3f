// SPDX-License-Identifier: GPL-2.0-only
/* loads.c - reads the kernel's records of mmap, from one buffer for each CPU. */
#define _GNU_SOURCE
#include "collect/loads.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/perf_event.h>

/*
 * A record takes some hundred bytes; those of forks and exits, of threads too, come as well, and
 * take 56: room for some thousands on each CPU, which are read twenty times a second at least.  A
 * power of two.
 */
#define DATA_BYTES (256u << 10)
/*
 * None is longer than its path (PATH_MAX) and a little.  A buffer that had less room than that may
 * have been too full for one, of which the kernel says nothing until the next one has room.
 */
#define RECORD_MAX (8u << 10)

/* PERF_RECORD_MMAP2 (perf_event_open(2)); the path follows, terminated. */
struct mmap2 {
	struct perf_event_header header;
	uint32_t pid, tid;
	uint64_t addr, len, pgoff;
	uint32_t maj, min;
	uint64_t ino, generation;
	uint32_t prot, flags;
};

struct ring {
	struct perf_event_mmap_page *page; /* the data follow; NULL: the CPU is not there */
	int fd;
};

struct bs_loads {
	size_t page_size;
	size_t n;
	struct ring *rings;
	/* A record may go round the end of the buffer; its size has 16 bits. */
	union {
		struct perf_event_header header;
		struct mmap2 mmap2;
		char bytes[1 << 16];
	} record;
};

static int ring_open(struct ring *r, int cpu, size_t size)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY,
		.mmap = 1,
		.mmap2 = 1,
		/* Nobody waits for it. */
		.watermark = 1,
		.wakeup_watermark = DATA_BYTES,
	};

	r->fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (r->fd < 0)
		return errno == ENODEV ? 0 : -errno;
	r->page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	if (r->page == MAP_FAILED) {
		r->page = NULL;
		return -errno;
	}
	return 0;
}

int bs_loads_new(struct bs_loads **out)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	struct bs_loads *l = calloc(1, sizeof(*l));
	int ret = 0;

	*out = NULL;
	if (!l || cpus < 1) {
		free(l);
		return -ENOMEM;
	}
	l->page_size = (size_t)sysconf(_SC_PAGESIZE);
	l->rings = calloc((size_t)cpus, sizeof(*l->rings));
	if (!l->rings) {
		free(l);
		return -ENOMEM;
	}
	for (; l->n < (size_t)cpus && !ret; l->n++) {
		l->rings[l->n].fd = -1;
		ret = ring_open(&l->rings[l->n], (int)l->n, l->page_size + DATA_BYTES);
	}
	if (ret)
		bs_loads_free(l);
	else
		*out = l;
	return ret;
}

void bs_loads_free(struct bs_loads *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->n; i++) {
		if (l->rings[i].page)
			munmap(l->rings[i].page, l->page_size + DATA_BYTES);
		if (l->rings[i].fd >= 0)
			close(l->rings[i].fd);
	}
	free(l->rings);
	free(l);
}

/* n bytes at that position of the endless stream. */
static void ring_copy(const char *data, uint64_t from, char *to, size_t n)
{
	size_t at = from & (DATA_BYTES - 1), first = DATA_BYTES - at;

	if (first > n)
		first = n;
	memcpy(to, data + at, first);
	memcpy(to + first, data, n - first);
}

/* The record that was copied.  What is mapped and no file has no inode. */
static int record_take(struct bs_loads *l, int (*fn)(void *ctx, const struct bs_load *load),
		       void *ctx)
{
	const struct mmap2 *r = &l->record.mmap2;
	const char *path = l->record.bytes + sizeof(*r);
	struct bs_load load = {.path = path};

	if (r->header.size <= sizeof(*r) || !r->ino || (int32_t)r->pid <= 0 ||
	    !memchr(path, '\0', r->header.size - sizeof(*r)))
		return 0;
	load.pid = (pid_t)r->pid;
	load.dev = makedev(r->maj, r->min);
	load.ino = (ino_t)r->ino;
	load.generation = r->generation;
	return fn(ctx, &load);
}

static int ring_read(struct bs_loads *l, struct ring *r,
		     int (*fn)(void *ctx, const struct bs_load *load), void *ctx, bool *lost)
{
	const char *data = (const char *)r->page + l->page_size;
	uint64_t head = __atomic_load_n(&r->page->data_head, __ATOMIC_ACQUIRE);
	uint64_t tail = r->page->data_tail;
	int ret = 0;

	*lost |= head - tail > DATA_BYTES - RECORD_MAX;
	while (tail < head && !ret) {
		size_t size;

		ring_copy(data, tail, l->record.bytes, sizeof(l->record.header));
		size = l->record.header.size;
		/* The kernel makes no others; whatever follows cannot be found. */
		if (size < sizeof(l->record.header) || size > head - tail) {
			*lost = true;
			tail = head;
			break;
		}
		ring_copy(data, tail, l->record.bytes, size);
		tail += size;
		if (l->record.header.type == PERF_RECORD_LOST)
			*lost = true;
		else if (l->record.header.type == PERF_RECORD_MMAP2)
			ret = record_take(l, fn, ctx);
	}
	__atomic_store_n(&r->page->data_tail, tail, __ATOMIC_RELEASE);
	return ret;
}

int bs_loads_read(struct bs_loads *l, int (*fn)(void *ctx, const struct bs_load *load), void *ctx,
		  bool *lost)
{
	int ret = 0;

	*lost = false;
	for (size_t i = 0; i < l->n && !ret; i++)
		if (l->rings[i].page)
			ret = ring_read(l, &l->rings[i], fn, ctx, lost);
	return ret;
}
