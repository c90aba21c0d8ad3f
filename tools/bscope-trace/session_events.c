/* SPDX-License-Identifier: GPL-2.0-only */
/* session_events.c - from the ring and the buffers through order and decoding to the model. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "bscope/buffer.h"
#include "bscope-trace/options.h"
#include "bscope-trace/session_state.h"
#include "model/model.h"
#include "order/order.h"
#include "symbol/symbol.h"

/*
 * An event that is on its way for longer than this holds nothing up any more, nor does a process
 * that cannot be read: then what they have may be missing.
 */
#define HOLD_MAX_NS (500 * NS_PER_MS)
/* Slots that are decoded in one go. */
#define SLOTS_AT_ONCE 512u

/* What was put in order goes to the model, many events at once. */
static int ordered_flush(struct bs_session *s)
{
	size_t n = s->nordered;

	s->nordered = 0;
	return bs_model_events(s->model, s->ordered, n);
}

static int ordered_reserve(struct bs_session *s, size_t n)
{
	return s->nordered + n > BS_ORDERED ? ordered_flush(s) : 0;
}

static int events_release(void *ctx, const struct bs_event *v, size_t n)
{
	struct bs_session *s = ctx;
	int ret = ordered_reserve(s, n);

	memcpy(&s->ordered[s->nordered], v, n * sizeof(*v));
	s->nordered += n;
	return ret;
}

static int slots_release(void *ctx, const struct bs_slots *slots)
{
	struct bs_session *s = ctx;
	int ret = ordered_reserve(s, slots->n);

	s->nordered += bs_decode_slots(&s->decoder, slots, &s->ordered[s->nordered]);
	return ret;
}

int bs_session_release(struct bs_session *s, uint64_t watermark)
{
	const struct bs_order_ops ops = {events_release, slots_release, s};
	int ret;

	bs_priority_low(s->priority);
	ret = bs_order_release(s->order, watermark, &ops);
	if (!ret)
		ret = ordered_flush(s);
	if (!ret && watermark != UINT64_MAX && watermark > s->watermark_ns)
		s->watermark_ns = watermark;
	return ret < 0 ? ret : 0;
}

/* So many events were put in line.  One poll can bring more than is to be held: the oldest go on.
 */
static int pushed(struct bs_session *s, size_t marks)
{
	s->marks += marks;
	if (!bs_order_full(s->order))
		return 0;
	/* Beyond the watermark something may be missing still. */
	bs_model_loss(s->model, bs_now_ns(), 0);
	return bs_session_release(s, s->watermark_ns);
}

/* What cannot be decoded may have been any mark: told before what is put in line now is judged. */
static void unreadable_tell(struct bs_session *s)
{
	if (s->decoder.bad == s->unreadable)
		return;
	s->unreadable = s->decoder.bad;
	bs_model_loss(s->model, bs_now_ns(), 0);
}

int bs_session_record(void *ctx, const void *data, size_t size)
{
	const struct bs_ring_event *rec = data;
	struct bs_session *s = ctx;
	struct bs_event ev;
	uint32_t stack = 0;
	int ret;

	if (size >= sizeof(*rec) && rec->type == BS_RING_STACK) {
		stack = bs_session_stack(s, data, size);
		return stack ? bs_buffers_stack(s->buffers, rec->pid, rec->args[0], rec->args[1],
						stack)
			     : 0;
	}
	if (size >= sizeof(*rec) && rec->type == BS_RING_MARK_STACK) {
		stack = bs_session_stack(s, data, size);
		size = sizeof(*rec);
	} else if (size >= sizeof(*rec) && rec->type >= BS_RING_BATCH &&
		   rec->type != BS_RING_KILLED) {
		bs_priority_low(s->priority);
		s->reference_tsc = bs_tsc_now();
		return bs_buffers_record(s->buffers, data, size);
	}
	if (bs_decode_stack(&s->decoder, data, size, stack, &ev)) {
		unreadable_tell(s);
		return 0;
	}
	if (ev.type != BS_EVENT_MARK) {
		bs_priority_normal(s->priority);
		bs_session_life(s, &ev);
	}
	ret = bs_order_push(s->order, &ev);
	return ret ? ret : pushed(s, ev.type == BS_EVENT_MARK);
}

uint32_t bs_session_code(void *ctx, uint32_t pid, uint64_t addr)
{
	struct bs_session *s = ctx;
	uint32_t number = bs_code_known(s->code, pid, addr);
	bool low;

	if (number)
		return number;
	low = bs_priority_normal(s->priority);
	number = bs_code_intern(s->code, pid, addr);
	if (low)
		bs_priority_low(s->priority);
	return number;
}

bool bs_session_lasting(void *ctx, uint32_t pid, uint64_t addr)
{
	struct bs_session *s = ctx;
	bool low = bs_priority_normal(s->priority), lasting;

	lasting = bs_code_static(s->code, pid, addr);
	if (low)
		bs_priority_low(s->priority);
	return lasting;
}

int bs_session_slots(void *ctx, uint32_t pid, uint32_t tid, uint32_t buffer,
		     const struct bscope_slot *slots, size_t n)
{
	struct bscope_slot room[2 * SLOTS_AT_ONCE];
	struct bs_session *s = ctx;
	const uint32_t *stacks = bs_buffers_stacks(s->buffers);
	struct bs_slots prepared;
	int ret = 0;

	for (size_t i = 0, k; i < n && !ret; i += k) {
		size_t events;

		k = n - i;
		if (k > SLOTS_AT_ONCE) {
			k = SLOTS_AT_ONCE;
			/* What belongs to one event stays together. */
			k -= slots[i + k].head & BSCOPE_SLOT_EXTRA ? 1 : 0;
		}
		events = bs_decode_prepare(&s->decoder, pid, tid, &slots[i],
					   stacks ? &stacks[i] : NULL, k, &s->tsc, s->reference_tsc,
					   room, &prepared);
		unreadable_tell(s);
		prepared.stream = buffer;
		ret = bs_order_push_slots(s->order, &prepared, events);
		if (!ret)
			ret = pushed(s, events);
	}
	return ret;
}

uint32_t bs_session_owner(void *ctx, uint32_t pid, uint64_t buffer)
{
	struct bs_session *s = ctx;

	return bs_collect_owner(s->collect, pid, buffer);
}

uint64_t bs_session_batch_lost(void *ctx)
{
	struct bs_session *s = ctx;

	return bs_collect_batch_lost(s->collect);
}

bool bs_session_executes(void *ctx, uint32_t pid)
{
	struct bs_session *s = ctx;
	const struct bs_process *p = bs_followed_find(&s->followed, (pid_t)pid);

	return p ? bs_lighting_executes(&s->lighting, p)
		 : bs_collect_execs(s->collect, (pid_t)pid) != 0;
}

bool bs_session_buffer_end(void *ctx, uint32_t pid, uint64_t buffer, struct bs_end *end)
{
	struct bs_session *s = ctx;

	return bs_collect_end(s->collect, pid, buffer, end);
}

/*
 * Coarse stamps are as old as the last time that they were renewed, before this look; and if that
 * is too long ago nothing is certain.
 */
static int stamp(struct bs_session *s)
{
	uint64_t tsc = bs_tsc_now(), now = bs_tsc_ns(&s->tsc, tsc);

	if (s->stamped_ns < s->drained_ns)
		s->drained_ns = s->stamped_ns;
	if (now - s->stamped_ns > BS_COARSE_NS)
		bs_model_loss(s->model, now, 0);
	bs_buffers_stamp(s->buffers, tsc);
	s->stamped_ns = now;
	return 0;
}

static int look_begin(struct bs_session *s, bool last)
{
	int ret;

	bs_tsc_sync(&s->tsc);
	bs_code_tick(s->code, bs_now_ns());
	bs_session_unwind_tick(s, bs_now_ns());
	ret = bs_session_lost_execs(s);
	if (!ret)
		ret = bs_buffers_read(s->buffers, last, &s->look.hold);
	if (ret)
		return ret;
	s->look.start_ns = bs_tsc_ns(&s->tsc, s->look.hold);
	s->look.written = bs_collect_written(s->collect);
	s->look.under_way = true;
	return 0;
}

bool bs_session_over(const struct bs_session *s)
{
	return s->stop && (*s->stop || bs_clock_ns(CLOCK_MONOTONIC) >= s->deadline_ns);
}

int bs_session_drain(struct bs_session *s, bool last, size_t *waiting)
{
	uint64_t before, hold, start_ns, gap_ns;
	int ret = s->look.under_way ? 0 : look_begin(s, last);

	if (ret)
		return ret;
	/* A record that is being written ends what can be read, for now. */
	do
		ret = bs_collect_poll(s->collect, 0, bs_session_record, s, &before);
	while (!bs_session_over(s) &&
	       (ret == -EINTR || (ret > 0 && !bs_collect_passed(s->collect, s->look.written))));
	if ((ret >= 0 || ret == -EINTR) && bs_session_over(s)) {
		bs_priority_normal(s->priority);
		*waiting = 1;
		return 0;
	}
	hold = s->look.hold;
	start_ns = s->look.start_ns;
	gap_ns = s->last_look_ns ? start_ns - s->last_look_ns : 0;
	if (gap_ns > s->stalled_ns)
		s->stalled_ns = gap_ns;
	s->last_look_ns = start_ns;
	s->look.under_way = false;
	if (ret >= 0) {
		bs_priority_low(s->priority);
		s->reference_tsc = bs_tsc_now();
		ret = bs_buffers_take(s->buffers, last, s->reference_tsc, &hold, waiting);
	}
	bs_priority_normal(s->priority);
	if (ret < 0)
		return ret;
	bs_buffers_settle(s->buffers);
	/* Any stamp may be a round too late, and is no later than that. */
	if (gap_ns > BS_STALLED_NS)
		bs_model_loss(s->model, bs_tsc_ns(&s->tsc, s->reference_tsc + BS_TSC_TOLERANCE), 0);
	s->drained_ns = bs_tsc_ns(&s->tsc, hold);
	if (s->drained_ns + HOLD_MAX_NS < start_ns) {
		s->drained_ns = start_ns - HOLD_MAX_NS;
		bs_model_loss(s->model, s->drained_ns, 0);
	}
	return s->options->coarse ? stamp(s) : 0;
}

int bs_session_drain_meanwhile(void *ctx)
{
	struct bs_session *s = ctx;
	size_t waiting;

	return bs_session_drain(s, false, &waiting);
}
