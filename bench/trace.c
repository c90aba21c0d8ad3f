/* SPDX-License-Identifier: GPL-2.0-only */
/* trace.c - reads a recorded run. */
#include "bench/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NONE UINT32_MAX

/* From a number to a number; it grows and never forgets a key. */
struct map {
	struct entry {
		uint64_t key;
		uint32_t value, used;
	} * v;
	size_t n, cap; /* cap: a power of two */
};

static void *must(void *p)
{
	if (p)
		return p;
	fprintf(stderr, "sampling: out of memory\n");
	exit(1);
}

static struct entry *map_slot(const struct map *m, uint64_t key)
{
	size_t i = (key * 0x9e3779b97f4a7c15ull >> 20) & (m->cap - 1);

	while (m->v[i].used && m->v[i].key != key)
		i = (i + 1) & (m->cap - 1);
	return &m->v[i];
}

/* The value of a key, which is fresh if the key is new. */
static uint32_t *map_get(struct map *m, uint64_t key, uint32_t fresh)
{
	struct entry *e;

	if (m->n * 2 >= m->cap) {
		struct map old = *m;

		m->cap = old.cap ? old.cap * 2 : 1024;
		m->v = must(calloc(m->cap, sizeof(*m->v)));
		for (size_t i = 0; i < old.cap; i++)
			if (old.v[i].used)
				*map_slot(m, old.v[i].key) = old.v[i];
		free(old.v);
	}
	e = map_slot(m, key);
	if (!e->used) {
		*e = (struct entry){key, fresh, 1};
		m->n++;
	}
	return &e->value;
}

static struct trace_piece *piece_add(struct trace *t, struct trace_piece piece)
{
	/* Room by powers of two. */
	if (!(t->npieces & (t->npieces - 1)))
		t->pieces = must(
			realloc(t->pieces, (t->npieces ? 2 * t->npieces : 1) * sizeof(*t->pieces)));
	t->pieces[t->npieces] = piece;
	if (piece.bytes > t->largest)
		t->largest = piece.bytes;
	t->nborn += piece.born;
	return &t->pieces[t->npieces++];
}

static void read_records(struct trace *t, const struct trace_record *r, size_t n)
{
	struct map ids = {0}, callers = {0}, stacks = {0}, threads = {0};
	uint32_t *resized = must(malloc(65536 * sizeof(*resized))); /* by thread */

	memset(resized, 0xff, 65536 * sizeof(*resized));
	for (size_t i = 0; i < n; i++, r++) {
		enum trace_op op = r->what & ((1u << TRACE_SITE_SHIFT) - 1);
		uint32_t *half = &resized[r->what >> 8 & 0xffff];
		uint32_t *now = map_get(&ids, r->id, NONE);
		struct trace_piece p = {
			.id = r->id,
			.bytes = r->what >> 24,
			.from = (uint32_t)i,
			.to = NONE,
			.next = NONE,
			.site = r->what >> TRACE_SITE_SHIFT & 0xf,
		};

		/* Given back where nobody saw it. */
		if ((op == TRACE_NEW || op == TRACE_TO) && *now != NONE) {
			t->pieces[*now].to = (uint32_t)i;
			t->pieces[*now].unseen = true;
		}
		if (op == TRACE_TO)
			p.site += TRACE_SITES;
		if (op == TRACE_NEW || op == TRACE_TO) {
			p.thread = *map_get(&threads, r->what >> 8 & 0xffff, (uint32_t)threads.n);
			p.sizer = *map_get(&callers, r->caller | (uint64_t)p.site << 56,
					   (uint32_t)callers.n);
			p.sizer_stack = *map_get(&stacks, r->stack ^ (uint64_t)p.site << 56,
						 (uint32_t)stacks.n);
		}
		if (callers.n > t->ncallers) {
			t->callers =
				must(realloc(t->callers, (t->ncallers + 1) * sizeof(*t->callers)));
			t->callers[t->ncallers++] = r->caller;
		}
		switch (op) {
		case TRACE_NEW:
			p.born = 1;
			p.caller = p.sizer;
			p.stack = p.sizer_stack;
			*now = (uint32_t)t->npieces;
			piece_add(t, p);
			break;
		case TRACE_TO: /* of one that was not seen being born: nothing */
			if (*half == NONE)
				break;
			p.caller = t->pieces[*half].caller;
			p.stack = t->pieces[*half].stack;
			t->pieces[*half].next = *now = (uint32_t)t->npieces;
			*half = NONE;
			piece_add(t, p);
			break;
		case TRACE_FROM:
			*half = *now;
			/* fall through */
		case TRACE_DROP:
			if (*now != NONE)
				t->pieces[*now].to = (uint32_t)i;
			*now = NONE;
			break;
		}
	}
	t->nevents = n;
	t->nstacks = (uint32_t)stacks.n;
	t->nthreads = (uint32_t)threads.n;
	free(ids.v);
	free(callers.v);
	free(stacks.v);
	free(threads.v);
	free(resized);
}

int trace_load(struct trace *t, const char *name)
{
	const struct trace_head *head = MAP_FAILED;
	int fd = open(name, O_RDONLY | O_CLOEXEC), err = 0;
	struct stat st;

	*t = (struct trace){0};
	if (fd < 0 || fstat(fd, &st)) {
		err = -errno;
		goto out;
	}
	if ((size_t)st.st_size > sizeof(*head))
		head = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (head == MAP_FAILED || head->magic != TRACE_MAGIC || head->n > TRACE_ROOM ||
	    sizeof(*head) + head->n * sizeof(struct trace_record) > (size_t)st.st_size) {
		err = -EINVAL;
		goto out;
	}
	read_records(t, (const struct trace_record *)(head + 1), head->n);
out:
	if (err)
		fprintf(stderr, "sampling: %s: %s\n", name, strerror(-err));
	if (head != MAP_FAILED)
		munmap((void *)(uintptr_t)head, (size_t)st.st_size);
	if (fd >= 0)
		close(fd);
	return err;
}

void trace_fini(struct trace *t)
{
	free(t->pieces);
	free(t->callers);
	*t = (struct trace){0};
}

const char *trace_where(const char *name, uint64_t addr, char *buf, size_t size)
{
	char path[4096], line[4096], module[4096];
	uint64_t from, to, offset;
	FILE *f;

	snprintf(buf, size, "0x%" PRIx64, addr);
	if (snprintf(path, sizeof(path), "%s.maps", name) >= (int)sizeof(path))
		return buf;
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %*s %*s %4095s", &from,
			   &to, &offset, module) != 4 ||
		    addr < from || addr >= to)
			continue;
		snprintf(buf, size, "%.40s+0x%" PRIx64,
			 strrchr(module, '/') ? strrchr(module, '/') + 1 : module,
			 addr - from + offset);
	}
	if (f)
		fclose(f);
	return buf;
}
