// SPDX-License-Identifier: GPL-2.0-only
/*
 * buffers.c - the table of traced processes, their pools and buffers: how each comes in (add, fork,
 * vfork), what was counted of it, how it goes.
 *
 * What is new in a buffer: buffers_slots.c; looking into memory: buffers_look.c.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#include "collect/buffers.h"
#include "collect/buffers_state.h"
#include "decode/tsc.h"
#include "target/memory.h"
#include "target/process.h"

#define BUFFERS_MAX 1024u /* as the runtime; a process may lie */

#define TOOL_PID_BITS 22 /* PID_MAX_LIMIT */

static uint64_t tool_tag(pid_t pid)
{
	return (uint64_t)pid | bs_process_started(pid) << TOOL_PID_BITS;
}

static bool tool_runs(uint64_t tag)
{
	pid_t pid = (pid_t)(tag & ((1u << TOOL_PID_BITS) - 1));

	return pid > 0 && bs_process_started(pid) && tool_tag(pid) == tag;
}

struct bs_buffers *bs_buffers_new(const struct bs_buffers_ops *ops)
{
	struct bs_buffers *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->ops = *ops;
	b->tool = tool_tag(getpid());
	return b;
}

static void process_free(struct bs_buffers *b, struct process *p)
{
	HASH_DEL(b->processes, p);
	if (b->recent == p)
		b->recent = NULL;
	for (size_t i = 0; i < p->npools; i++) {
		for (uint32_t k = 0; k < p->pools[i].used; k++)
			free(p->pools[i].v[k].stacks);
		free(p->pools[i].v);
	}
	free(p->pools);
	free(p);
}

void bs_buffers_free(struct bs_buffers *b)
{

	if (!b)
		return;
	while (b->processes)
		process_free(b, b->processes);
	free(b->stacks);
	free(b->copies);
	free(b);
}

struct process *bs_buffers_process_find(struct bs_buffers *b, int pid)
{
	if (!b->recent || b->recent->pid != pid) {
		struct process *p;

		HASH_FIND_INT(b->processes, &pid, p);
		b->recent = p;
	}
	return b->recent;
}

static struct process *process_get(struct bs_buffers *b, int pid)
{
	struct process *p = bs_buffers_process_find(b, pid);

	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->pid = pid;
	/* What it recorded since the look before this one may have been of before it was known. */
	p->looked_tsc = b->read_before_tsc ? b->read_before_tsc : bs_tsc_now();
	HASH_ADD_INT(b->processes, pid, p);
	return p;
}

static struct pool *pool_add(struct process *p, uint64_t addr, uint64_t nbuffers)
{
	struct pool *pools = reallocarray(p->pools, p->npools + 1, sizeof(*pools));

	if (!pools)
		return NULL;
	p->pools = pools;
	pools += p->npools;
	*pools = (struct pool){.addr = addr, .nbuffers = nbuffers, .number = (uint32_t)p->npools};
	if (pools->nbuffers > BUFFERS_MAX)
		pools->nbuffers = BUFFERS_MAX;
	p->npools++;
	return pools;
}

int bs_pool_reach(struct pool *pool, uint32_t used)
{
	struct buffer *v;

	if (used > pool->nbuffers)
		used = (uint32_t)pool->nbuffers;
	if (used <= pool->used)
		return 0;
	v = reallocarray(pool->v, used, sizeof(*v));
	if (!v)
		return -ENOMEM;
	pool->v = v;
	memset(v + pool->used, 0, (used - pool->used) * sizeof(*v));
	for (uint32_t i = pool->used; i < used; i++) {
		v[i].number = pool->number * BUFFERS_MAX + i;
		v[i].next = v[i].base = v[i].seen = BSCOPE_BUFFER_FIRST;
	}
	pool->used = used;
	return 0;
}

struct buffer *bs_buffer_find(struct bs_buffers *b, uint32_t pid, uint64_t addr)
{
	struct process *p = bs_buffers_process_find(b, (int)pid);

	if (p && p->shares)
		p = bs_buffers_process_find(b, p->shares);
	for (size_t i = 0; p && i < p->npools; i++) {
		struct pool *pool = &p->pools[i];
		uint64_t at = addr - pool->addr - sizeof(struct bscope_pool);

		if (addr < pool->addr + sizeof(struct bscope_pool) ||
		    at % sizeof(struct bscope_buffer) ||
		    at / sizeof(struct bscope_buffer) >= pool->nbuffers)
			continue;
		at /= sizeof(struct bscope_buffer);
		if (bs_pool_reach(pool, (uint32_t)at + 1))
			return NULL;
		return &pool->v[at];
	}
	return NULL;
}

/* --- memory of the processes ------------------------------------------------------------------ */

/*
 * The memory that it has; asked for first, so that what it executes after the answer, or has begun
 * to execute before, is not written to.
 */
static int memory_now(const struct bs_buffers *b, pid_t pid)
{
	int mem = bs_memory_open(pid);

	if (mem < 0 || !b->ops.executes || !b->ops.executes(b->ops.ctx, (uint32_t)pid))
		return mem;
	close(mem);
	return -ESRCH;
}

int bs_buffers_memory(const struct bs_buffers *b, pid_t pid, const struct pool *pool)
{
	int mem = memory_now(b, pid), ret;
	uint64_t tool = 0;

	if (mem < 0)
		return mem;
	ret = bs_memory_get(mem, pool->addr + offsetof(struct bscope_pool, tool), &tool,
			    sizeof(tool));
	if (!ret && tool == b->tool)
		return mem;
	close(mem);
	return ret ? ret : -ESRCH;
}

/* Only a process that is just ending refuses, and then it does not matter. */
static void put(int mem, uint64_t addr, uint64_t value)
{
	bs_memory_put(mem, addr, &value, sizeof(value));
}

void bs_buffers_poke(const struct bs_buffers *b, pid_t pid, const struct pool *pool, uint64_t addr,
		     uint64_t value)
{
	int mem = bs_buffers_memory(b, pid, pool);

	if (mem < 0)
		return;
	put(mem, addr, value);
	close(mem);
}

bool bs_buffers_thread_runs(pid_t pid, uint64_t tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%llu", (int)pid, (unsigned long long)tid);
	return !access(path, F_OK);
}

/* --- processes -------------------------------------------------------------------------------- */

/* What is there when tracing begins.  Owners are asked to announce themselves. */
static int baseline_of(const struct bs_buffers *b, const struct process *p, struct pool *pool,
		       int mem)
{
	struct bscope_pool head;
	int ret = bs_memory_get(mem, pool->addr, &head, sizeof(head));

	if (!ret && head.tool && head.tool != b->tool && tool_runs(head.tool))
		ret = -EBUSY;
	if (!ret)
		ret = bs_pool_reach(pool, head.used);
	if (ret)
		return ret;
	put(mem, pool->addr + offsetof(struct bscope_pool, tool), b->tool);
	pool->base_no_buffer = pool->no_buffer = head.no_buffer;
	for (uint32_t i = 0; i < pool->used; i++) {
		struct buffer *buf = &pool->v[i];
		uint64_t addr = buffer_addr(pool, i);
		struct head h;

		ret = bs_memory_get(mem, addr, &h, sizeof(h));
		if (ret)
			return ret;
		if (h.next < BSCOPE_BUFFER_FIRST)
			h.next = BSCOPE_BUFFER_FIRST;
		buf->known = h.owner;
		buf->next = buf->base = buf->seen = h.next;
		buf->base_extra = buf->seen_extra = h.extra;
		if (h.owner && h.tid && !bs_buffers_thread_runs(p->pid, h.tid))
			put(mem, addr + offsetof(struct bscope_buffer, owner), 0);
		else if (h.owner && !(h.owner & (BSCOPE_OWNER_RENEW | BSCOPE_OWNER_DEAD)))
			put(mem, addr + offsetof(struct bscope_buffer, owner),
			    h.owner | BSCOPE_OWNER_RENEW);
	}
	return 0;
}

static int baseline(const struct bs_buffers *b, const struct process *p, struct pool *pool)
{
	int mem = memory_now(b, p->pid);
	int ret = mem < 0 ? mem : baseline_of(b, p, pool, mem);

	if (mem >= 0)
		close(mem);
	return ret;
}

int bs_buffers_add(struct bs_buffers *b, pid_t pid, uint64_t addr, uint64_t nbuffers)
{
	struct process *p = process_get(b, pid);
	struct pool *pool;
	int ret;

	if (!p)
		return -ENOMEM;
	for (size_t i = 0; i < p->npools; i++)
		if (p->pools[i].addr == addr)
			return 0;
	pool = pool_add(p, addr, nbuffers);
	if (!pool)
		return -ENOMEM;
	ret = baseline(b, p, pool);
	if (ret) {
		free(pool->v);
		p->npools--;
	}
	return ret;
}

int bs_buffers_share(struct bs_buffers *b, pid_t parent, pid_t child)
{
	int ret = bs_buffers_gone(b, child); /* the number may have come round */
	struct process *p;

	if (ret || !bs_buffers_process_find(b, parent))
		return ret;
	p = process_get(b, child);
	if (!p)
		return -ENOMEM;
	p->shares = parent;
	return 0;
}

int bs_buffers_fork(struct bs_buffers *b, pid_t parent, pid_t child)
{
	const struct process *from = bs_buffers_process_find(b, parent);
	struct process *to;
	int ret, mem;

	if (!from || child == parent)
		return 0;
	ret = bs_buffers_gone(b, child); /* the number may have come round */
	if (ret)
		return ret;
	to = process_get(b, child);
	mem = to ? memory_now(b, child) : -ESRCH;
	for (size_t i = 0; to && i < from->npools && !ret; i++) {
		const struct pool *pool = &from->pools[i];

		if (!pool_add(to, pool->addr, pool->nbuffers))
			ret = -ENOMEM;
		else if (mem >= 0)
			put(mem, pool->addr + offsetof(struct bscope_pool, tool), b->tool);
	}
	if (mem >= 0)
		close(mem);
	return to ? ret : -ENOMEM;
}

void bs_buffers_release(struct bs_buffers *b)
{
	for (const struct process *p = b->processes; p; p = p->hh.next)
		for (size_t i = 0; i < p->npools; i++)
			bs_buffers_poke(b, p->pid, &p->pools[i],
					p->pools[i].addr + offsetof(struct bscope_pool, tool), 0);
}

static void add_counts(const struct pool *pool, struct bs_buffers_counts *to)
{
	to->no_buffer += pool->no_buffer - pool->base_no_buffer;
	to->written += pool->no_buffer - pool->base_no_buffer;
	for (uint32_t i = 0; i < pool->used; i++) {
		const struct buffer *buf = &pool->v[i];

		to->written += buf->seen - buf->base - (buf->seen_extra - buf->base_extra);
		to->extra += buf->seen_extra - buf->base_extra;
		to->buffers += buf->known || buf->seen > buf->base;
	}
}

/*
 * What its last thread left, though its slots may not have come.  False if nobody knows: then it
 * may be half a buffer more than what was seen.
 */
static bool gone_counts(struct bs_buffers *b, const struct process *p, const struct pool *pool,
			uint32_t i)
{
	struct buffer *buf = &pool->v[i];
	struct bs_end end;
	bool known;

	known = b->ops.end && b->ops.end(b->ops.ctx, (uint32_t)p->pid, buffer_addr(pool, i), &end);
	if (known)
		bs_buffer_see(buf, end.next, end.extra);
	if (known && buf->seen > buf->next)
		b->skipped += buf->seen - buf->next;
	if (buf->announced)
		return buf->ended || (known && end.ts_ns > buf->announced_ns);
	return buf->ended || known || buf->seen == buf->base;
}

int bs_buffers_gone(struct bs_buffers *b, pid_t pid)
{
	struct process *p = bs_buffers_process_find(b, pid);
	int ret = 0;

	if (!p)
		return 0;
	for (size_t i = 0; i < p->npools; i++) {
		struct pool *pool = &p->pools[i];

		/* Buffers that nobody told us of may have been used. */
		if (b->ops.lost && b->ops.lost(b->ops.ctx) &&
		    bs_pool_reach(pool, (uint32_t)pool->nbuffers))
			return -ENOMEM;
		for (uint32_t k = 0; k < pool->used; k++) {
			struct buffer *buf = &pool->v[k];

			/* A look that was under way has seen more than was sent. */
			if (!buf->ended && ret >= 0)
				ret = bs_buffer_take_copied(b, (uint32_t)pid, buf, UINT64_MAX);
			b->abandoned += buf->nholes;
			/* Where the kernel could not read it: half a buffer at most is not sent. */
			if (!gone_counts(b, p, pool, k))
				b->gone.at_most += BSCOPE_BATCH_SLOTS;
		}
		add_counts(pool, &b->gone);
		/* Since the last look there may have been any number more. */
		b->gone.no_bound |= pool->no_buffer != pool->base_no_buffer;
	}
	process_free(b, p);
	return ret < 0 ? ret : 0;
}

void bs_buffers_counts(const struct bs_buffers *b, struct bs_buffers_counts *out)
{
	*out = b->gone;
	for (const struct process *p = b->processes; p; p = p->hh.next)
		for (size_t i = 0; i < p->npools; i++)
			add_counts(&p->pools[i], out);
	out->received = b->received;
	out->abandoned = b->abandoned;
	out->skipped = b->skipped;
}
