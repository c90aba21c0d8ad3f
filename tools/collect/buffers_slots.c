// SPDX-License-Identifier: GPL-2.0-only
/*
 * buffers_slots.c - which slots of a buffer are new, whether the ring brings them (the records that
 * are taken here) or a look into memory does: each is passed on once or counted as lost.
 *
 * Deduplication.  Slots have numbers that only grow.  For each buffer `next` is the first that is
 * not accounted for; whatever comes, by the ring or from memory, is cut to what lies behind it.
 * What is jumped over is lost, and shows in the end as written - received; nothing else counts
 * losses.
 *
 * Holes.  A slot that is reserved and not committed has an owner that was interrupted: by a signal
 * handler, which may have filled the half meanwhile, or by the scheduler.  It is looked at again
 * until it is committed or its place is reserved anew.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "bpf/event.h"
#include "collect/buffers.h"
#include "collect/buffers_state.h"

/*
 * Stacks come before their slots are committed, so who has seen a slot has had its stack, unless
 * that is lost.  A stack stays where it was put until its slot comes, or another stack for its
 * place: then the slot was never seen.
 */
int bs_buffers_stack(struct bs_buffers *b, uint32_t pid, uint64_t buffer, uint64_t slot,
		     uint32_t stack)
{
	struct buffer *buf = bs_buffer_find(b, pid, buffer);

	if (!buf || slot < BSCOPE_BUFFER_FIRST)
		return 0;
	if (!b->stacks)
		b->stacks = calloc(BSCOPE_BUFFER_SLOTS, sizeof(*b->stacks));
	if (!buf->stacks)
		buf->stacks = calloc(BSCOPE_BUFFER_SLOTS, sizeof(*buf->stacks));
	if (!b->stacks || !buf->stacks)
		return -ENOMEM;
	buf->stacks[slot % BSCOPE_BUFFER_SLOTS] = (struct stack){slot, stack};
	return 0;
}

const uint32_t *bs_buffers_stacks(const struct bs_buffers *b)
{
	return b->has_stacks ? b->stacks : NULL;
}

static void stacks_take(struct bs_buffers *b, struct buffer *buf, uint64_t first, size_t n)
{
	b->has_stacks = buf->stacks && n <= BSCOPE_BUFFER_SLOTS;
	for (size_t i = 0; b->has_stacks && i < n; i++) {
		struct stack *s = &buf->stacks[(first + i) % BSCOPE_BUFFER_SLOTS];

		b->stacks[i] = s->slot == first + i ? s->stack : 0;
		if (b->stacks[i])
			s->slot = 0;
	}
}

int bs_buffer_pass(struct bs_buffers *b, uint32_t pid, struct buffer *buf, uint64_t first,
		   const struct bscope_slot *slots, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (slots[i].head & BSCOPE_SLOT_EXTRA || !(slots[i].head & BSCOPE_SLOT_INDEX_MASK))
			continue;
		b->received++;
		buf->last = slots[i].head;
	}
	stacks_take(b, buf, first, n);
	return n ? b->ops.take(b->ops.ctx, pid, buf->tid, buf->number, slots, n) : 0;
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

int bs_buffer_take_slots(struct bs_buffers *b, uint32_t pid, struct buffer *buf,
			 const struct bscope_slot *slots, uint64_t first, uint64_t end,
			 uint64_t fresh)
{
	uint64_t run = buf->next > first ? buf->next : first, i;
	int ret = 0;

	b->skipped += run - buf->next;
	for (i = run; i < end && ret >= 0; i++) {
		if (committed(&slots[i - first], i))
			continue;
		if (i >= fresh)
			break;
		ret = bs_buffer_pass(b, pid, buf, run, &slots[run - first], i - run);
		hole_add(b, buf, i);
		run = i + 1;
	}
	if (ret >= 0 && i > run)
		ret = bs_buffer_pass(b, pid, buf, run, &slots[run - first], i - run);
	if (i > buf->next)
		buf->next = i;
	return ret;
}

void bs_buffer_see(struct buffer *buf, uint64_t next, uint64_t extra)
{
	if (next < buf->seen || next - buf->seen > JUMP_MAX || extra < buf->seen_extra ||
	    extra - buf->base_extra > next - buf->base)
		return;
	buf->seen = next;
	buf->seen_extra = extra;
}

void bs_buffer_announce(struct buffer *buf, uint32_t tid, uint64_t ts_ns)
{
	if (!buf->announced || buf->tid != tid)
		buf->announced_ns = ts_ns;
	buf->tell |= !buf->announced || buf->tid != tid;
	buf->late |= !buf->known;
	buf->tid = tid;
	buf->known = buf->announced = true;
	buf->ended = buf->dead = buf->looked = false;
}

int bs_buffer_take_copied(struct bs_buffers *b, uint32_t pid, struct buffer *buf, uint64_t end)
{
	if (end > buf->to)
		end = buf->to;
	if (end <= buf->next || end <= buf->from)
		return 0;
	return bs_buffer_take_slots(b, pid, buf, &b->copies[buf->at], buf->from, end, UINT64_MAX);
}

static int batch_take(struct bs_buffers *b, const struct bs_ring_batch *batch)
{
	const struct process *p = bs_buffers_process_find(b, (int)batch->pid);
	bool shares = p && p->shares;
	uint32_t pid = shares ? (uint32_t)p->shares : batch->pid;
	struct buffer *buf = bs_buffer_find(b, batch->pid, batch->buffer);
	uint64_t first = (batch->end - 1) & ~(uint64_t)(BSCOPE_BATCH_SLOTS - 1);
	int ret = 0;

	if (!buf)
		return 0;
	bs_buffer_announce(buf, batch->tid, batch->ts_ns);
	bs_buffer_see(buf, batch->next, batch->extra);
	if (first > buf->next)
		ret = bs_buffer_take_copied(b, pid, buf, first);
	if (ret >= 0 && batch->end > buf->next && batch->end <= buf->seen)
		ret = bs_buffer_take_slots(b, pid, buf, batch->slots, first, batch->end,
					   UINT64_MAX);
	/* The thread whose buffer a vfork child has used lives on. */
	if (batch->flags & BS_BATCH_LAST && !shares)
		buf->ended = true;
	return ret;
}

/* As a batch, the thread's last one, of no slots. */
static int left_take(struct bs_buffers *b, const struct bs_ring_event *event)
{
	const struct process *p = bs_buffers_process_find(b, (int)event->pid);
	bool shares = p && p->shares;
	uint32_t pid = shares ? (uint32_t)p->shares : event->pid;
	struct buffer *buf = bs_buffer_find(b, event->pid, event->args[0]);
	int ret = 0;

	if (!buf)
		return 0;
	bs_buffer_announce(buf, event->tid, event->ts_ns);
	bs_buffer_see(buf, event->args[1], event->args[2]);
	if (event->args[1] > buf->next)
		ret = bs_buffer_take_copied(b, pid, buf, event->args[1]);
	buf->ended |= !shares;
	return ret;
}

int bs_buffers_record(struct bs_buffers *b, const void *data, size_t size)
{
	const struct bs_ring_event *event = data;
	struct buffer *buf;

	if (size < sizeof(*event))
		return 0;
	if (event->type == BS_RING_BATCH)
		return size >= sizeof(struct bs_ring_batch) ? batch_take(b, data) : 0;
	if (event->type == BS_RING_LEFT)
		return left_take(b, event);
	if (event->type != BS_RING_BUFFER)
		return 0;
	buf = bs_buffer_find(b, event->pid, event->args[0]);
	if (buf)
		bs_buffer_announce(buf, event->tid, event->ts_ns);
	return 0;
}
