// SPDX-License-Identifier: GPL-2.0-only
/*
 * buffers.c - the buffers of traced processes: what was seen of each, and what is new.
 *
 * Deduplication.  Slots have numbers that only grow.  For each buffer `next` is the first that is
 * not accounted for; whatever comes, by the ring or from memory, is cut to what lies behind it.
 * What is jumped over is lost, and shows in the end as written - received; nothing else counts
 * losses.
 *
 * Reading while it is written to.  A slot that was copied from memory is what it says if, after
 * copying, its place had not been reserved anew: if its number + BSCOPE_BUFFER_SLOTS had not been
 * reached.  And if its head is of the right lap, for its owner writes that last.
 *
 * Holes.  A slot that is reserved and not committed has an owner that was interrupted: by a signal
 * handler, which may have filled the half meanwhile, or by the scheduler.  It is looked at again
 * until it is committed or its place is reserved anew.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#include "bpf/event.h"
#include "collect/buffers.h"
#include "decode/tsc.h"
#include "target/memory.h"
#include "target/process.h"

#define HEAD	  BSCOPE_BUFFER_HEAD_BYTES
#define SLOTS	  ((uint64_t)BSCOPE_BUFFER_SLOTS)
#define HOLES_MAX 8
/* What is not committed so close to the end is just being written. */
#define FRESH 64
/* Nobody records so much between two looks: a count that jumps further is a lie. */
#define JUMP_MAX (1ull << 40)
/* Threads, and buffers that nobody announced, are looked for at least so many reads apart. */
#define LIVENESS_READS 8
#define BUFFERS_MAX    1024u /* as the runtime; a process may lie */
/* A thread has been dead for so many of these before others are let in. */
#define DEAD_LOOKS 3

struct head {
	uint64_t owner, next, extra, tid, reserved[4];
};
_Static_assert(sizeof(struct head) == HEAD, "head of a buffer");

struct buffer {
	uint32_t tid;
	bool known;		    /* somebody has had it */
	bool announced;		    /* tid is of this owner */
	bool tell;		    /* tid is to be written into the process */
	bool dead;		    /* the thread runs no more, but may have left something */
	bool looked;		    /* which would have been read since */
	bool late;		    /* a look that is under way did not know of it */
	bool ended;		    /* the thread has; all it wrote was read or never will be */
	uint8_t looks;		    /* since then */
	uint8_t nholes, nread;	    /* holes; of those, copied by the look that is under way */
	uint64_t announced_ns;	    /* when that was */
	uint64_t next;		    /* first slot that is not accounted for */
	uint64_t base, base_extra;  /* the program's counts when tracing began */
	uint64_t seen, seen_extra;  /* and as they were seen last */
	uint64_t last;		    /* head of the event passed on last, 0 if none */
	uint64_t before[HOLES_MAX]; /* head of the event passed on before each hole */
	uint64_t holes[HOLES_MAX];  /* numbers */
	/* of the look that is under way: slots from..to-1 lie in copies[at], if to > from */
	uint64_t from, to;
	size_t at, holes_at;
};

struct pool {
	uint64_t addr, nbuffers;
	struct buffer *v;
	uint32_t used; /* of v */
	uint64_t base_no_buffer, no_buffer;
};

struct process {
	int pid;
	int shares; /* the process whose memory it has; 0: its own */
	struct pool *pools;
	size_t npools;
	unsigned reads;
	UT_hash_handle hh;
};

struct bs_buffers {
	struct bs_buffers_ops ops;
	uint64_t tool; /* ourselves, as pools name it */
	struct process *processes;
	struct process *recent;
	struct bs_buffers_counts gone; /* of processes that are no more */
	uint64_t received, abandoned, skipped;

	struct bscope_slot *copies;
	size_t ncopies, copies_room;
	uint64_t read_tsc, read_before_tsc; /* of the last two looks */
	/* what is to be fetched */
	struct iovec local[BS_MEMORY_PIECES], remote[BS_MEMORY_PIECES];
	size_t niovs;
};

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
	for (size_t i = 0; i < p->npools; i++)
		free(p->pools[i].v);
	free(p->pools);
	free(p);
}

void bs_buffers_free(struct bs_buffers *b)
{

	if (!b)
		return;
	while (b->processes)
		process_free(b, b->processes);
	free(b->copies);
	free(b);
}

static struct process *process_find(struct bs_buffers *b, int pid)
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
	struct process *p = process_find(b, pid);

	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->pid = pid;
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
	*pools = (struct pool){.addr = addr, .nbuffers = nbuffers};
	if (pools->nbuffers > BUFFERS_MAX)
		pools->nbuffers = BUFFERS_MAX;
	p->npools++;
	return pools;
}

/* States of the first `used` buffers; a new one has never been written to. */
static int pool_reach(struct pool *pool, uint32_t used)
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
	for (uint32_t i = pool->used; i < used; i++)
		v[i].next = v[i].base = v[i].seen = BSCOPE_BUFFER_FIRST;
	pool->used = used;
	return 0;
}

static uint64_t buffer_addr(const struct pool *pool, uint32_t i)
{
	return pool->addr + sizeof(struct bscope_pool) + i * sizeof(struct bscope_buffer);
}

static struct buffer *buffer_find(struct bs_buffers *b, uint32_t pid, uint64_t addr)
{
	struct process *p = process_find(b, (int)pid);

	if (p && p->shares)
		p = process_find(b, p->shares);
	for (size_t i = 0; p && i < p->npools; i++) {
		struct pool *pool = &p->pools[i];
		uint64_t at = addr - pool->addr - sizeof(struct bscope_pool);

		if (addr < pool->addr + sizeof(struct bscope_pool) ||
		    at % sizeof(struct bscope_buffer) ||
		    at / sizeof(struct bscope_buffer) >= pool->nbuffers)
			continue;
		at /= sizeof(struct bscope_buffer);
		if (pool_reach(pool, (uint32_t)at + 1))
			return NULL;
		return &pool->v[at];
	}
	return NULL;
}

/* --- memory of the processes ------------------------------------------------------------------ */

/* Only a process that is just ending refuses, and then it does not matter. */
static void poke(pid_t pid, uint64_t addr, uint64_t value)
{
	bs_memory_write(pid, addr, &value, sizeof(value));
}

static bool thread_runs(pid_t pid, uint64_t tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%llu", (int)pid, (unsigned long long)tid);
	return !access(path, F_OK);
}

/* Fetches what was collected by want(), and forgets it.  All of it, or what came is not used. */
static int fetch(struct bs_buffers *b, pid_t pid)
{
	int ret = b->niovs ? bs_memory_readv(pid, b->local, b->remote, b->niovs) : 0;

	b->niovs = 0;
	return ret;
}

static int want(struct bs_buffers *b, pid_t pid, void *to, uint64_t addr, size_t size)
{
	int ret = b->niovs == BS_MEMORY_PIECES ? fetch(b, pid) : 0;

	b->local[b->niovs] = (struct iovec){to, size};
	b->remote[b->niovs++] = (struct iovec){(void *)(uintptr_t)addr, size};
	return ret;
}

/* --- processes -------------------------------------------------------------------------------- */

/* What is there when tracing begins.  Owners are asked to announce themselves. */
static int baseline(const struct bs_buffers *b, struct process *p, struct pool *pool)
{
	struct bscope_pool head;
	int ret = bs_memory_read(p->pid, pool->addr, &head, sizeof(head));

	if (!ret && head.tool && head.tool != b->tool && tool_runs(head.tool))
		ret = -EBUSY;
	if (!ret)
		ret = pool_reach(pool, head.used);
	if (ret)
		return ret;
	poke(p->pid, pool->addr + offsetof(struct bscope_pool, tool), b->tool);
	pool->base_no_buffer = pool->no_buffer = head.no_buffer;
	for (uint32_t i = 0; i < pool->used; i++) {
		struct buffer *buf = &pool->v[i];
		uint64_t addr = buffer_addr(pool, i);
		struct head h;

		ret = bs_memory_read(p->pid, addr, &h, sizeof(h));
		if (ret)
			return ret;
		if (h.next < BSCOPE_BUFFER_FIRST)
			h.next = BSCOPE_BUFFER_FIRST;
		buf->known = h.owner;
		buf->next = buf->base = buf->seen = h.next;
		buf->base_extra = buf->seen_extra = h.extra;
		if (h.owner && h.tid && !thread_runs(p->pid, h.tid))
			poke(p->pid, addr + offsetof(struct bscope_buffer, owner), 0);
		else if (h.owner && !(h.owner & (BSCOPE_OWNER_RENEW | BSCOPE_OWNER_DEAD)))
			poke(p->pid, addr + offsetof(struct bscope_buffer, owner),
			     h.owner | BSCOPE_OWNER_RENEW);
	}
	return 0;
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

/* --- slots ------------------------------------------------------------------------------------ */

static bool committed(const struct bscope_slot *slot, uint64_t number)
{
	/* A slot that was left empty has no other bits; time is never 0. */
	return (slot->head & BSCOPE_SLOT_LAP_MASK) == BSCOPE_SLOT_LAP(number) && slot->head;
}

static int pass(struct bs_buffers *b, uint32_t pid, struct buffer *buf,
		const struct bscope_slot *slots, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (slots[i].head & BSCOPE_SLOT_EXTRA || !(slots[i].head & BSCOPE_SLOT_INDEX_MASK))
			continue;
		b->received++;
		buf->last = slots[i].head;
	}
	return n ? b->ops.take(b->ops.ctx, pid, buf->tid, slots, n) : 0;
}

static void hole_add(struct bs_buffers *b, struct buffer *buf, uint64_t number)
{
	if (buf->nholes == HOLES_MAX) {
		b->abandoned++;
		return;
	}
	buf->before[buf->nholes] = buf->last;
	buf->holes[buf->nholes++] = number;
}

/*
 * Passes on what of slots first..end-1 is new.  Slots from fresh on that are not committed end it:
 * they are looked at next time.  The others become holes.
 */
static int take_slots(struct bs_buffers *b, uint32_t pid, struct buffer *buf,
		      const struct bscope_slot *slots, uint64_t first, uint64_t end, uint64_t fresh)
{
	uint64_t run = buf->next > first ? buf->next : first, i;
	int ret = 0;

	b->skipped += run - buf->next;
	for (i = run; i < end && ret >= 0; i++) {
		if (committed(&slots[i - first], i))
			continue;
		if (i >= fresh)
			break;
		ret = pass(b, pid, buf, &slots[run - first], i - run);
		hole_add(b, buf, i);
		run = i + 1;
	}
	if (ret >= 0 && i > run)
		ret = pass(b, pid, buf, &slots[run - first], i - run);
	if (i > buf->next)
		buf->next = i;
	return ret;
}

/* The program's own counts, as far as they can be true; the ring brings older ones than memory. */
static void see(struct buffer *buf, uint64_t next, uint64_t extra)
{
	if (next < buf->seen || next - buf->seen > JUMP_MAX || extra < buf->seen_extra ||
	    extra - buf->base_extra > next - buf->base)
		return;
	buf->seen = next;
	buf->seen_extra = extra;
}

static void announce(struct buffer *buf, uint32_t tid, uint64_t ts_ns)
{
	if (!buf->announced || buf->tid != tid)
		buf->announced_ns = ts_ns;
	buf->tell |= !buf->announced || buf->tid != tid;
	buf->late |= !buf->known;
	buf->tid = tid;
	buf->known = buf->announced = true;
	buf->ended = buf->dead = buf->looked = false;
}

/*
 * What a look that is under way has copied of the slots before end: a batch that did not fit into
 * the ring may have been among them.
 */
static int take_copied(struct bs_buffers *b, uint32_t pid, struct buffer *buf, uint64_t end)
{
	if (end > buf->to)
		end = buf->to;
	if (end <= buf->next || end <= buf->from)
		return 0;
	return take_slots(b, pid, buf, &b->copies[buf->at], buf->from, end, UINT64_MAX);
}

static int batch_take(struct bs_buffers *b, const struct bs_ring_batch *batch)
{
	const struct process *p = process_find(b, (int)batch->pid);
	bool shares = p && p->shares;
	uint32_t pid = shares ? (uint32_t)p->shares : batch->pid;
	struct buffer *buf = buffer_find(b, batch->pid, batch->buffer);
	uint64_t first = (batch->end - 1) & ~(uint64_t)(BSCOPE_BATCH_SLOTS - 1);
	int ret = 0;

	if (!buf)
		return 0;
	announce(buf, batch->tid, batch->ts_ns);
	see(buf, batch->next, batch->extra);
	if (first > buf->next)
		ret = take_copied(b, pid, buf, first);
	if (ret >= 0 && batch->end > buf->next && batch->end <= buf->seen)
		ret = take_slots(b, pid, buf, batch->slots, first, batch->end, UINT64_MAX);
	/* The thread whose buffer a vfork child has used lives on. */
	if (batch->flags & BS_BATCH_LAST && !shares)
		buf->ended = true;
	return ret;
}

int bs_buffers_share(struct bs_buffers *b, pid_t parent, pid_t child)
{
	int ret = bs_buffers_gone(b, child); /* the number may have come round */
	struct process *p;

	if (ret || !process_find(b, parent))
		return ret;
	p = process_get(b, child);
	if (!p)
		return -ENOMEM;
	p->shares = parent;
	return 0;
}

int bs_buffers_fork(struct bs_buffers *b, pid_t parent, pid_t child)
{
	const struct process *from = process_find(b, parent);
	struct process *to;
	int ret;

	if (!from)
		return 0;
	ret = bs_buffers_gone(b, child); /* the number may have come round */
	if (ret)
		return ret;
	to = process_get(b, child);
	for (size_t i = 0; to && i < from->npools; i++) {
		const struct pool *pool = &from->pools[i];

		if (!pool_add(to, pool->addr, pool->nbuffers))
			return -ENOMEM;
		poke(child, pool->addr + offsetof(struct bscope_pool, tool), b->tool);
	}
	return to ? 0 : -ENOMEM;
}

void bs_buffers_release(struct bs_buffers *b)
{
	for (const struct process *p = b->processes; p; p = p->hh.next)
		for (size_t i = 0; i < p->npools; i++)
			poke(p->pid, p->pools[i].addr + offsetof(struct bscope_pool, tool), 0);
}

static void add_counts(const struct pool *pool, struct bs_buffers_counts *to)
{
	to->no_buffer += pool->no_buffer - pool->base_no_buffer;
	to->written += pool->no_buffer - pool->base_no_buffer;
	for (uint32_t i = 0; i < pool->used; i++) {
		const struct buffer *buf = &pool->v[i];

		to->written += buf->seen - buf->base - (buf->seen_extra - buf->base_extra);
		to->extra += buf->seen_extra - buf->base_extra;
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
		see(buf, end.next, end.extra);
	if (known && buf->seen > buf->next)
		b->skipped += buf->seen - buf->next;
	if (buf->announced)
		return buf->ended || (known && end.ts_ns > buf->announced_ns);
	return buf->ended || known || buf->seen == buf->base;
}

int bs_buffers_gone(struct bs_buffers *b, pid_t pid)
{
	struct process *p = process_find(b, pid);
	int ret = 0;

	if (!p)
		return 0;
	for (size_t i = 0; i < p->npools; i++) {
		struct pool *pool = &p->pools[i];

		/* Buffers that nobody told us of may have been used. */
		if (b->ops.lossy && b->ops.lossy(b->ops.ctx) &&
		    pool_reach(pool, (uint32_t)pool->nbuffers))
			return -ENOMEM;
		for (uint32_t k = 0; k < pool->used; k++) {
			struct buffer *buf = &pool->v[k];

			/* A look that was under way has seen more than was sent. */
			if (!buf->ended && ret >= 0)
				ret = take_copied(b, (uint32_t)pid, buf, UINT64_MAX);
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

int bs_buffers_record(struct bs_buffers *b, const void *data, size_t size)
{
	const struct bs_ring_event *event = data;
	struct buffer *buf;

	if (size < sizeof(*event))
		return 0;
	if (event->type == BS_RING_BATCH)
		return size >= sizeof(struct bs_ring_batch) ? batch_take(b, data) : 0;
	if (event->type != BS_RING_BUFFER)
		return 0;
	buf = buffer_find(b, event->pid, event->args[0]);
	if (buf)
		announce(buf, event->tid, event->ts_ns);
	return 0;
}

/* --- looking ---------------------------------------------------------------------------------- */

static struct bscope_slot *copies_get(struct bs_buffers *b, size_t n)
{
	size_t room = b->copies_room ? b->copies_room : 4096;

	while (room < b->ncopies + n)
		room *= 2;
	if (room != b->copies_room) {
		struct bscope_slot *copies = reallocarray(b->copies, room, sizeof(*copies));

		if (!copies)
			return NULL;
		b->copies = copies;
		b->copies_room = room;
	}
	b->ncopies += n;
	return &b->copies[b->ncopies - n];
}

/* Slots from..to-1 of a buffer at addr, which may go round its end once. */
static int want_slots(struct bs_buffers *b, pid_t pid, size_t at, uint64_t addr, uint64_t from,
		      uint64_t to)
{
	int ret = 0;

	while (from < to && !ret) {
		uint64_t place = from % SLOTS, n = to - from;

		if (n > SLOTS - place)
			n = SLOTS - place;
		ret = want(b, pid, &b->copies[at], addr + HEAD + place * sizeof(struct bscope_slot),
			   n * sizeof(struct bscope_slot));
		at += n;
		from += n;
	}
	return ret;
}

/* Of the buffers that somebody has had; or of all, since a record that said so may not have come.
 */
static int read_heads(struct bs_buffers *b, pid_t pid, const struct pool *pool, struct head *heads,
		      bool all)
{
	int ret = 0;

	for (uint32_t i = 0; i < pool->used && !ret; i++)
		if (all || pool->v[i].known)
			ret = want(b, pid, &heads[i], buffer_addr(pool, i), HEAD);
	return ret ? ret : fetch(b, pid);
}

/*
 * Room for copies is taken for all buffers first, since it may move.  A copy is of no use when
 * anything of it could not be read: then the process is just ending.
 */
static int read_pool(struct bs_buffers *b, struct process *p, struct pool *pool, bool all)
{
	struct head *heads;
	struct bscope_pool top;
	int ret;

	for (uint32_t i = 0; i < pool->used; i++) {
		pool->v[i].from = pool->v[i].to = 0;
		pool->v[i].nread = 0;
		pool->v[i].late = false;
	}
	if (bs_memory_read(p->pid, pool->addr, &top, sizeof(top)))
		return 0;
	ret = pool_reach(pool, top.used);
	if (ret)
		return ret;
	if (top.no_buffer > pool->no_buffer && top.no_buffer - pool->no_buffer < JUMP_MAX)
		pool->no_buffer = top.no_buffer;
	heads = calloc(pool->used ? pool->used : 1, sizeof(*heads));
	if (!heads)
		return -ENOMEM;
	if (read_heads(b, p->pid, pool, heads, all))
		goto out;
	for (uint32_t i = 0; i < pool->used; i++) {
		struct buffer *buf = &pool->v[i];

		buf->known |= heads[i].owner;
		if (!buf->known || heads[i].next < buf->seen ||
		    heads[i].next - buf->seen > JUMP_MAX)
			continue;
		buf->to = heads[i].next;
		buf->from = buf->next;
		if (buf->to - buf->from > SLOTS)
			buf->from = buf->to - SLOTS;
		buf->at = b->ncopies;
		buf->holes_at = buf->at + (buf->to - buf->from);
		buf->nread = buf->nholes;
		if (!copies_get(b, buf->to - buf->from + 2u * buf->nholes)) {
			buf->to = buf->from;
			ret = -ENOMEM;
			goto out;
		}
	}
	for (uint32_t i = 0; i < pool->used && !ret; i++) {
		struct buffer *buf = &pool->v[i];
		uint64_t addr = buffer_addr(pool, i);

		ret = want_slots(b, p->pid, buf->at, addr, buf->from, buf->to);
		for (size_t k = 0; k < buf->nholes && buf->to && !ret; k++)
			ret = want_slots(b, p->pid, buf->holes_at + 2 * k, addr, buf->holes[k],
					 buf->holes[k] + 2);
	}
	if (!ret)
		ret = fetch(b, p->pid);
	if (!ret)
		ret = read_heads(b, p->pid, pool, heads, false);
	for (uint32_t i = 0; i < pool->used; i++) {
		struct buffer *buf = &pool->v[i];
		uint64_t from = buf->from;

		if (!buf->to)
			continue;
		if (ret || heads[i].next < buf->to || heads[i].next - buf->to > JUMP_MAX) {
			buf->from = buf->to = 0;
			buf->nread = 0;
			continue;
		}
		/* What may have been written over meanwhile. */
		if (heads[i].next - from > SLOTS)
			from = heads[i].next - SLOTS;
		if (from > buf->to)
			from = buf->to;
		buf->at += from - buf->from;
		buf->from = from;
		for (size_t k = 0; k < buf->nholes;) {
			struct bscope_slot *copy = &b->copies[buf->holes_at];

			if (heads[i].next - buf->holes[k] <= SLOTS) {
				k++;
				continue;
			}
			b->abandoned++;
			buf->nholes--;
			buf->nread--;
			memmove(&buf->holes[k], &buf->holes[k + 1],
				(buf->nholes - k) * sizeof(buf->holes[0]));
			memmove(&buf->before[k], &buf->before[k + 1],
				(buf->nholes - k) * sizeof(buf->before[0]));
			memmove(&copy[2 * k], &copy[2 * k + 2],
				2 * (buf->nholes - k) * sizeof(*copy));
		}
		see(buf, heads[i].next, heads[i].extra);
		buf->looked = buf->dead;
		if (heads[i].tid && !buf->announced && heads[i].owner &&
		    !(heads[i].owner & BSCOPE_OWNER_FLAGS) && !buf->ended &&
		    thread_runs(p->pid, heads[i].tid)) {
			buf->tid = (uint32_t)heads[i].tid;
			buf->announced = true;
		}
	}
	ret = 0;
out:
	b->niovs = 0;
	free(heads);
	return ret;
}

int bs_buffers_read(struct bs_buffers *b, bool all, uint64_t *tsc)
{
	int ret = 0;

	b->read_before_tsc = b->read_tsc;
	*tsc = b->read_tsc = bs_tsc_now();
	b->ncopies = 0;
	for (struct process *p = b->processes; p; p = p->hh.next) {
		for (size_t i = 0; i < p->npools && !ret; i++)
			ret = read_pool(b, p, &p->pools[i], all || !p->reads);
		p->reads++;
	}
	return ret;
}

static int take_holes(struct bs_buffers *b, struct process *p, struct buffer *buf)
{
	size_t n = 0;
	int ret = 0;

	for (size_t k = 0; k < buf->nholes; k++) {
		const struct bscope_slot *copy = &b->copies[buf->holes_at + 2 * k];

		/* Those that the ring brought since were not copied. */
		if (k < buf->nread && ret >= 0 && committed(copy, buf->holes[k])) {
			bool pair = committed(&copy[1], buf->holes[k] + 1) &&
				    copy[1].head & BSCOPE_SLOT_EXTRA;

			ret = pass(b, (uint32_t)p->pid, buf, copy, pair ? 2 : 1);
			continue;
		}
		buf->before[n] = buf->before[k];
		buf->holes[n++] = buf->holes[k];
	}
	buf->nholes = (uint8_t)n;
	buf->nread = 0;
	return ret;
}

/* No earlier than the event before it is one that is on its way. */
static void hold_back(const struct bs_buffers *b, uint64_t before, uint64_t reference,
		      uint64_t *hold)
{
	uint64_t at = b->read_before_tsc;

	if (before)
		at = bs_tsc_widen(before >> BSCOPE_SLOT_TIME_SHIFT, BSCOPE_SLOT_TIME_BITS,
				  reference);
	if (at < *hold)
		*hold = at;
}

static int take_buffer(struct bs_buffers *b, struct process *p, struct buffer *buf, uint64_t addr,
		       bool last, uint64_t reference, uint64_t *hold, size_t *waiting)
{
	int ret = 0;

	if (buf->late) {
		++*waiting;
		if (b->read_before_tsc < *hold)
			*hold = b->read_before_tsc;
	}
	if (!buf->to)
		return 0;
	/* The record that announced it did not fit into the ring. */
	if (!buf->announced && buf->to > buf->next && b->ops.owner) {
		uint32_t tid = b->ops.owner(b->ops.ctx, (uint32_t)p->pid, addr);

		if (tid)
			announce(buf, tid, 0);
	}
	if (buf->nholes)
		ret = take_holes(b, p, buf);
	if (ret >= 0 && buf->to > buf->next)
		ret = take_slots(b, (uint32_t)p->pid, buf, &b->copies[buf->at], buf->from, buf->to,
				 last		   ? UINT64_MAX
				 : buf->to > FRESH ? buf->to - FRESH
						   : 0);
	if (buf->next < buf->to || buf->nholes) {
		++*waiting;
		if (buf->next < buf->to)
			hold_back(b, buf->last, reference, hold);
		for (size_t k = 0; k < buf->nholes; k++)
			hold_back(b, buf->before[k], reference, hold);
	}
	if (last) {
		b->abandoned += buf->nholes;
		buf->nholes = 0;
	}
	buf->from = buf->to = 0;
	return ret < 0 ? ret : 0;
}

int bs_buffers_take(struct bs_buffers *b, bool last, uint64_t reference, uint64_t *hold,
		    size_t *waiting)
{
	int ret = 0;

	*waiting = 0;
	for (struct process *p = b->processes; p; p = p->hh.next)
		for (size_t i = 0; i < p->npools; i++)
			for (uint32_t k = 0; k < p->pools[i].used && !ret; k++)
				ret = take_buffer(b, p, &p->pools[i].v[k],
						  buffer_addr(&p->pools[i], k), last, reference,
						  hold, waiting);
	return ret;
}

/*
 * Whose thread has ended is free for anybody, not only for a thread with the same thread pointer.
 * That is said when the pool is nearly used up, and not at once: somebody who is just taking it
 * should be known by then.
 */
static void free_dead(const struct process *p, struct pool *pool, uint32_t i)
{
	struct buffer *buf = &pool->v[i];
	uint64_t addr = buffer_addr(pool, i) + offsetof(struct bscope_buffer, owner), owner;

	if (buf->announced || !buf->ended || buf->looks > DEAD_LOOKS ||
	    pool->used < pool->nbuffers / 4 * 3)
		return;
	if (++buf->looks <= DEAD_LOOKS)
		return;
	if (!bs_memory_read(p->pid, addr, &owner, sizeof(owner)) && owner &&
	    !(owner & BSCOPE_OWNER_DEAD))
		poke(p->pid, addr, owner | BSCOPE_OWNER_DEAD);
}

/* Where the record of its end was lost: it is dead, and there has been a look since. */
static void look_for_thread(const struct process *p, struct buffer *buf)
{
	if (!buf->announced || buf->ended || thread_runs(p->pid, buf->tid))
		return;
	buf->ended = buf->looked && !buf->nholes && buf->next == buf->seen;
	buf->dead = true;
}

static void settle(struct bs_buffers *b, struct process *p, struct pool *pool, uint32_t i,
		   bool look)
{
	struct buffer *buf = &pool->v[i];

	if (look)
		look_for_thread(p, buf);
	if (buf->ended && buf->announced) {
		b->abandoned += buf->nholes;
		buf->nholes = buf->nread = 0;
		buf->announced = buf->tell = false;
		buf->tid = 0;
		buf->last = 0;
		buf->looks = 0;
	}
	if (look)
		free_dead(p, pool, i);
	if (buf->tell)
		poke(p->pid, buffer_addr(pool, i) + offsetof(struct bscope_buffer, tid), buf->tid);
	buf->tell = false;
}

void bs_buffers_settle(struct bs_buffers *b)
{

	for (struct process *p = b->processes; p; p = p->hh.next) {
		bool look = p->reads >= LIVENESS_READS;

		if (look)
			p->reads = 0;
		for (size_t i = 0; i < p->npools; i++)
			for (uint32_t k = 0; k < p->pools[i].used; k++)
				settle(b, p, &p->pools[i], k, look);
	}
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
