// SPDX-License-Identifier: GPL-2.0-only
/* collect_poll.c - what comes from the BPF programs: records of the ring, counters. */
#include <errno.h>
#include <sys/epoll.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/clock.h"
#include "collect/collect.h"
#include "collect/collect_state.h"
#include "trace.skel.h"

/*
 * The reader looks at the ring at least this often, woken or not: a wake-up can be missed (the
 * fill level is looked at now and then only), and few records are to be seen soon as well.
 */
#define LOOK_MS 50

/*
 * At most so many records in one call, and so many bytes, so that the caller gets its turn under
 * endless load: some ten milliseconds of work.
 */
#define MAX_RECORDS 65536
#define MAX_BYTES   (2u << 20)

/* --- reading ---------------------------------------------------------------------------------- */

int bs_ring_on_record(void *ctx, void *data, size_t size)
{
	const struct bs_ring_event *event = data;
	struct bs_collect *c = ctx;

	c->handed++;
	c->handed_bytes += size;
	if (!c->fn)
		return 0;
	if (size >= sizeof(*event) &&
	    (event->type == BS_RING_MARK || event->type == BS_RING_MARK_STACK))
		c->received++;
	c->fn_ret = c->fn(c->fn_ctx, data, size);
	if (c->fn_ret < 0)
		return c->fn_ret;
	return c->handed < MAX_RECORDS && c->handed_bytes < MAX_BYTES ? 0 : -E2BIG;
}

int bs_ring_consume(struct bs_collect *c, bs_collect_fn fn, void *ctx)
{
	int ret;

	c->fn = fn;
	c->fn_ctx = ctx;
	c->fn_ret = 0;
	c->handed = 0;
	c->handed_bytes = 0;
	ret = ring_buffer__consume(c->ring);
	c->more = c->fn_ret < 0 || c->handed >= MAX_RECORDS || c->handed_bytes >= MAX_BYTES;
	if (c->fn_ret < 0)
		return c->fn_ret;
	return ret < 0 && !c->more ? ret : c->handed;
}

/*
 * The wait is edge triggered: it ends when a program wakes the reader, not because there is
 * something in the ring.  Otherwise a busy program would have its reader running all the time,
 * for a few records each.
 */
int bs_collect_poll(struct bs_collect *c, int timeout_ms, bs_collect_fn fn, void *ctx,
		    uint64_t *before_ns)
{
	uint64_t end = bs_now_ns() + (timeout_ms > 0 ? (uint64_t)timeout_ms * 1000000u : 0);
	uint64_t now = bs_now_ns();
	struct epoll_event event;
	int ret;

	for (;;) {
		if (!c->more && now < end) {
			uint64_t wait = (end - now + 999999) / 1000000;

			if (epoll_wait(c->wait_fd, &event, 1,
				       wait < LOOK_MS ? (int)wait : LOOK_MS) < 0)
				return -errno;
		}
		now = bs_now_ns();
		if (before_ns)
			*before_ns = now;
		ret = bs_ring_consume(c, fn, ctx);
		if (ret || now >= end)
			return ret;
	}
}

int bs_collect_ring_fd(const struct bs_collect *c)
{
	return bpf_map__fd(c->skel->maps.ring);
}

size_t bs_collect_ring_bytes(const struct bs_collect *c)
{
	return c->ring_bytes;
}

static uint64_t place(const struct bs_collect *c, size_t page)
{
	return __atomic_load_n((const uint64_t *)(const void *)(c->places + page * c->page),
			       __ATOMIC_ACQUIRE);
}

uint64_t bs_collect_written(const struct bs_collect *c)
{
	return place(c, 1);
}

bool bs_collect_passed(const struct bs_collect *c, uint64_t written)
{
	return place(c, 0) >= written;
}

/* --- counters --------------------------------------------------------------------------------- */

void bs_collect_read_counters(const struct bs_collect *c, struct bs_counters *sum)
{
	*sum = (struct bs_counters){0};
	for (size_t i = 0; i < BS_CPU_LINES; i++) {
		const struct bs_counters *line = &c->skel->bss->lines[i].c;

		sum->written += __atomic_load_n(&line->written, __ATOMIC_RELAXED);
		sum->lost_ring += __atomic_load_n(&line->lost_ring, __ATOMIC_RELAXED);
		sum->lost_spec += __atomic_load_n(&line->lost_spec, __ATOMIC_RELAXED);
		sum->life_lost += __atomic_load_n(&line->life_lost, __ATOMIC_RELAXED);
		sum->traced_full += __atomic_load_n(&line->traced_full, __ATOMIC_RELAXED);
		sum->batch_lost += __atomic_load_n(&line->batch_lost, __ATOMIC_RELAXED);
		sum->last_lost += __atomic_load_n(&line->last_lost, __ATOMIC_RELAXED);
		sum->stacks_lost += __atomic_load_n(&line->stacks_lost, __ATOMIC_RELAXED);
	}
}

uint64_t bs_collect_batch_lost(const struct bs_collect *c)
{
	struct bs_counters sum;

	bs_collect_read_counters(c, &sum);
	return sum.batch_lost - c->base.batch_lost;
}

int bs_collect_read_missed(const struct bs_collect *c, uint64_t *missed)
{
	struct bpf_prog_info info = {0};
	__u32 size = sizeof(info);

	*missed = 0;
	if (bpf_obj_get_info_by_fd(bpf_program__fd(c->skel->progs.trap), &info, &size))
		return -errno;
	*missed = info.recursion_misses;
	return 0;
}

int bs_collect_counts(const struct bs_collect *c, struct bs_collect_counts *out)
{
	struct bs_counters sum;
	int ret;

	bs_collect_read_counters(c, &sum);
	out->sum.written = sum.written - c->base.written;
	out->sum.lost_ring = sum.lost_ring - c->base.lost_ring;
	out->sum.lost_spec = sum.lost_spec - c->base.lost_spec;
	out->sum.life_lost = sum.life_lost - c->base.life_lost;
	out->sum.traced_full = sum.traced_full - c->base.traced_full;
	out->sum.batch_lost = sum.batch_lost - c->base.batch_lost;
	out->sum.last_lost = sum.last_lost - c->base.last_lost;
	out->sum.stacks_lost = sum.stacks_lost - c->base.stacks_lost;
	out->received = c->received;
	ret = bs_collect_read_missed(c, &out->missed);
	out->missed -= c->base_missed;
	return ret;
}
