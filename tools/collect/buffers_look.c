// SPDX-License-Identifier: GPL-2.0-only
/*
 * buffers_look.c - looks into the memory of traced processes: copies what their threads have
 * written and was not sent (read), passes on what of that did not come by the ring (take), and
 * looks after threads that have ended (settle).
 *
 * Reading while it is written to.  A slot that was copied from memory is what it says if, after
 * copying, its place had not been reserved anew: if its number + BSCOPE_BUFFER_SLOTS had not been
 * reached.  And if its head is of the right lap, for its owner writes that last.
 *
 * A process that cannot be read has ended, or executes another program, and the record that says so
 * is on its way, or did not fit into the ring.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collect/buffers.h"
#include "collect/buffers_state.h"
#include "decode/tsc.h"
#include "target/memory.h"

#define HEAD  BSCOPE_BUFFER_HEAD_BYTES
#define SLOTS ((uint64_t)BSCOPE_BUFFER_SLOTS)
/* What is not committed so close to the end is just being written. */
#define FRESH 64
/* Threads, and buffers that nobody announced, are looked for at least so many reads apart. */
#define LIVENESS_READS 8
/* A thread has been dead for so many of these before others are let in. */
#define DEAD_LOOKS 3

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

static void copies_none(struct pool *pool)
{
	for (uint32_t i = 0; i < pool->used; i++) {
		pool->v[i].from = pool->v[i].to = 0;
		pool->v[i].nread = 0;
	}
}

/*
 * Room for copies is taken for all buffers first, since it may move.  A copy is of no use when
 * anything of it could not be read: then the process is just ending.
 */
static int read_pool(struct bs_buffers *b, struct process *p, struct pool *pool, bool all,
		     bool *whole)
{
	struct head *heads;
	struct bscope_pool top;
	int ret;

	*whole = false;
	copies_none(pool);
	for (uint32_t i = 0; i < pool->used; i++)
		pool->v[i].late = false;
	if (bs_memory_read(p->pid, pool->addr, &top, sizeof(top)))
		return 0;
	ret = bs_pool_reach(pool, top.used);
	if (ret)
		return ret;
	if (top.no_buffer > pool->no_buffer && top.no_buffer - pool->no_buffer < JUMP_MAX)
		pool->no_buffer = top.no_buffer;
	heads = calloc(pool->used ? pool->used : 1, sizeof(*heads));
	if (!heads)
		return -ENOMEM;
	if (read_heads(b, p->pid, pool, heads, all))
		goto out;
	*whole = true;
	for (uint32_t i = 0; i < pool->used; i++) {
		struct buffer *buf = &pool->v[i];

		buf->known |= heads[i].owner;
		if (!buf->known)
			continue;
		if (heads[i].next < buf->seen || heads[i].next - buf->seen > JUMP_MAX) {
			*whole = false;
			continue;
		}
		buf->to = heads[i].next;
		buf->from = buf->next;
		if (buf->to - buf->from > SLOTS)
			buf->from = buf->to - SLOTS;
		buf->at = b->ncopies;
		buf->holes_at = buf->at + (buf->to - buf->from);
		buf->nread = buf->nholes;
		if (!copies_get(b, buf->to - buf->from + 2u * buf->nholes)) {
			ret = -ENOMEM;
			break;
		}
	}
	if (ret) {
		copies_none(pool);
		goto out;
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
			*whole = false;
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
		bs_buffer_see(buf, heads[i].next, heads[i].extra);
		buf->looked = buf->dead;
		if (heads[i].tid && !buf->announced && heads[i].owner &&
		    !(heads[i].owner & BSCOPE_OWNER_FLAGS) && !buf->ended &&
		    bs_buffers_thread_runs(p->pid, heads[i].tid)) {
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
	uint64_t lost;
	int ret = 0;

	b->read_before_tsc = b->read_tsc;
	*tsc = b->read_tsc = bs_tsc_now();
	b->ncopies = 0;
	/* After that, so that a record of before it is among them if it was lost. */
	lost = b->ops.lost ? b->ops.lost(b->ops.ctx) : 0;
	all |= lost != b->lost;
	b->lost = lost;
	for (struct process *p = b->processes; p; p = p->hh.next) {
		bool whole = true, one;

		for (size_t i = 0; i < p->npools && !ret; i++) {
			ret = read_pool(b, p, &p->pools[i], all || !p->reads, &one);
			whole &= one;
		}
		if (whole)
			p->looked_tsc = b->read_tsc;
		p->reads++;
	}
	return ret;
}

static void stamp_pool(const struct bs_buffers *b, pid_t pid, const struct pool *pool,
		       uint32_t stamp)
{
	int mem = -1;

	for (uint32_t k = 0; k < pool->used; k++) {
		if (!pool->v[k].known)
			continue;
		if (mem < 0)
			mem = bs_buffers_memory(b, pid, pool);
		/* Only a process that is just ending, or executing, refuses. */
		if (mem < 0 ||
		    bs_memory_put(mem,
				  buffer_addr(pool, k) + offsetof(struct bscope_buffer, coarse),
				  &stamp, sizeof(stamp)))
			break;
	}
	if (mem >= 0)
		close(mem);
}

void bs_buffers_stamp(const struct bs_buffers *b, uint64_t tsc)
{
	uint32_t stamp = (uint32_t)(tsc >> 8); /* bits 8 to 39, as buffer.h says */

	for (const struct process *p = b->processes; p; p = p->hh.next)
		for (size_t i = 0; i < p->npools; i++)
			stamp_pool(b, p->pid, &p->pools[i], stamp);
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

			ret = bs_buffer_pass(b, (uint32_t)p->pid, buf, buf->holes[k], copy,
					     pair ? 2 : 1);
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
			bs_buffer_announce(buf, tid, 0);
	}
	if (buf->nholes)
		ret = take_holes(b, p, buf);
	if (ret >= 0 && buf->to > buf->next)
		ret = bs_buffer_take_slots(b, (uint32_t)p->pid, buf, &b->copies[buf->at], buf->from,
					   buf->to,
					   last		     ? UINT64_MAX
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
	for (struct process *p = b->processes; p; p = p->hh.next) {
		/* Until it is known what it had, or what of that was lost. */
		if (p->npools && p->looked_tsc != b->read_tsc && p->looked_tsc < *hold)
			*hold = p->looked_tsc;
		for (size_t i = 0; i < p->npools; i++)
			for (uint32_t k = 0; k < p->pools[i].used && !ret; k++)
				ret = take_buffer(b, p, &p->pools[i].v[k],
						  buffer_addr(&p->pools[i], k), last, reference,
						  hold, waiting);
	}
	return ret;
}

/*
 * Whose thread has ended is free for anybody, not only for a thread with the same thread pointer.
 * That is said when the pool is nearly used up, and not at once: somebody who is just taking it
 * should be known by then.
 */
static void free_dead(const struct bs_buffers *b, const struct process *p, struct pool *pool,
		      uint32_t i)
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
		bs_buffers_poke(b, p->pid, pool, addr, owner | BSCOPE_OWNER_DEAD);
}

/* Where the record of its end was lost: it is dead, and there has been a look since. */
static void look_for_thread(const struct process *p, struct buffer *buf)
{
	if (!buf->announced || buf->ended || bs_buffers_thread_runs(p->pid, buf->tid))
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
		free_dead(b, p, pool, i);
	if (buf->tell)
		bs_buffers_poke(b, p->pid, pool,
				buffer_addr(pool, i) + offsetof(struct bscope_buffer, tid),
				buf->tid);
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
