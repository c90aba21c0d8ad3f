/* SPDX-License-Identifier: GPL-2.0-only */
/* trace.h - a recorded run's allocations: what recorder.so writes and sampling reads. */
#ifndef BENCH_TRACE_H
#define BENCH_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bscope/buffer.h"

#define TRACE_MAGIC 0x31636172546d654dull
#define TRACE_ROOM  (64u << 20) /* records; the file is sparse */

enum trace_op {
	TRACE_NEW = 1,
	TRACE_DROP,
	TRACE_FROM, /* a resize begins: this block */
	TRACE_TO,   /* and ends: this block, by the same thread */
};

/* Which function: each is a site of its own in the preload library. */
enum trace_site {
	TRACE_MALLOC = 1,
	TRACE_CALLOC,
	TRACE_REALLOC,
	TRACE_REALLOCARRAY,
	TRACE_ALIGNED_ALLOC,
	TRACE_MEMALIGN,
	TRACE_POSIX_MEMALIGN,
	TRACE_FREE,
	TRACE_SITES
};
#define TRACE_SITE_SHIFT 4

struct trace_record {
	uint64_t id;
	uint64_t what;	 /* op | site << TRACE_SITE_SHIFT | thread << 8 | bytes << 24 */
	uint64_t caller; /* return address */
	uint64_t stack;	 /* hash of the caller and its four callers; where a size begins */
};

/* The head of the file; records follow in the order of events.  FILE.maps has the modules. */
struct trace_head {
	uint64_t magic;
	uint64_t n; /* may be more than there was room for */
};

_Static_assert(sizeof(struct trace_record) == 32 && sizeof(struct trace_head) == 16, "file format");

/* What an object was from one size to the next: from its birth or a resize to a resize or its end.
 */
struct trace_piece {
	uint64_t id, bytes;
	uint32_t caller, stack;	     /* who made the object, as row numbers */
	uint32_t sizer, sizer_stack; /* who made it this large, likewise */
	uint32_t from, to; /* events at which it began and ended; to is UINT32_MAX if never */
	uint32_t born;	   /* whether it began as a new object */
	uint32_t next;	   /* the piece after a resize, or UINT32_MAX */
	uint32_t thread;   /* in which it began, from 0 */
	uint32_t site;	   /* enum trace_site; of a resize, TRACE_SITES more */
	bool unseen;	   /* nobody saw its end */
};

struct trace {
	struct trace_piece *pieces; /* in the order of their beginnings */
	size_t npieces, nborn, nevents;
	uint64_t *callers; /* address by row: a row is one caller of one function */
	uint32_t ncallers, nstacks, nthreads;
	uint64_t largest; /* bytes */
	bool by_stack;	  /* what is recorded has no callers but sites: the stacks */
};

/* 0, or -errno with a message printed.  trace_fini() frees what it holds. */
int trace_load(struct trace *t, const char *name);
void trace_fini(struct trace *t);
/* One that is made up; likewise freed. */
void trace_make(struct trace *t);

/* Of one that was born (bscope/buffer.h). */
static inline uint32_t trace_stratum(const struct trace *t, const struct trace_piece *p)
{
	return BSCOPE_STRATUM(p->site, t->by_stack ? 0 : t->callers[p->caller]);
}

/* "module+offset" of an address in the trace of that name; buf is returned. */
const char *trace_where(const char *name, uint64_t addr, char *buf, size_t size);

#endif
