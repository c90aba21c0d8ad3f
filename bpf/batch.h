/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * batch.h - what threads recorded by jumps: half a buffer at a time, when it is full.
 *
 * The programs run in the thread that filled it, so nobody writes to that half meanwhile but its
 * own signal handlers before and after.
 */
#ifndef BS_BPF_BATCH_H
#define BS_BPF_BATCH_H

#include "bpf/state.h"

#ifdef __TARGET_ARCH_x86
#define REGS_ARG1(ctx) ((ctx)->di)
#define REGS_ARG2(ctx) ((ctx)->si)
#else
#define REGS_ARG1(ctx) ((ctx)->regs[0])
#define REGS_ARG2(ctx) ((ctx)->regs[1])
#endif

/* The reader is woken by fill level, as for traps; a batch is large enough to look each time. */
static __always_inline __u64 wake_flags(void)
{
	return bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) >= wake_bytes ? BPF_RB_FORCE_WAKEUP
									 : BPF_RB_NO_WAKEUP;
}

/* A record of the size of all the others; 0 if it did not fit. */
static __always_inline int send_short(__u32 type, __u32 site, __u64 arg)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct bs_ring_event *event = bpf_ringbuf_reserve(&ring, sizeof(*event), 0);

	if (!event)
		return 0;
	event->ts_ns = bpf_ktime_get_ns();
	event->pid = id >> 32;
	event->tid = id;
	event->type = type;
	event->site = site;
	event->args[0] = arg;
	event->args[1] = 0;
	event->args[2] = 0;
	bpf_ringbuf_submit(event, wake_flags());
	return 1;
}

static __always_inline void count_lost(__u32 flags)
{
	__sync_fetch_and_add(&counters()->batch_lost, 1);
	if (flags & BS_BATCH_LAST)
		__sync_fetch_and_add(&counters()->last_lost, 1);
}

/* end 0: what there is. */
static __always_inline void send_batch(__u64 buffer, __u64 end, __u32 flags)
{
	__u64 id = bpf_get_current_pid_tgid(), head[3] = {0}, half, bytes;
	struct bs_ring_batch *batch = NULL;

	if (!ring_is_full())
		batch = bpf_ringbuf_reserve(&ring, sizeof(*batch), 0);
	if (!batch) {
		count_lost(flags);
		return;
	}
	if (bpf_probe_read_user(head, sizeof(head), (void *)buffer))
		goto unread;
	if (!end)
		end = head[1];
	batch->ts_ns = bpf_ktime_get_ns();
	batch->pid = id >> 32;
	batch->tid = id;
	batch->type = BS_RING_BATCH;
	batch->flags = flags;
	batch->buffer = buffer;
	batch->end = end;
	batch->owner = head[0];
	batch->next = head[1];
	batch->extra = head[2];
	half = ((end - 1) & (BSCOPE_BUFFER_SLOTS - 1)) / BSCOPE_BATCH_SLOTS;
	/* No more than was written: pages that were never touched cannot be read here. */
	bytes = (((end - 1) & (BSCOPE_BATCH_SLOTS - 1)) + 1) * sizeof(batch->slots[0]);
	if (bpf_probe_read_user(
		    batch->slots, bytes,
		    (void *)(buffer + BSCOPE_BUFFER_HEAD_BYTES + half * sizeof(batch->slots))))
		goto unread;
	bpf_ringbuf_submit(batch, wake_flags());
	return;
unread:
	bpf_ringbuf_discard(batch, BPF_RB_NO_WAKEUP);
	count_lost(flags);
}

/*
 * Tells apart whose buffers are whose, and what of them has not been sent.  That the map is full
 * costs the last events of a thread.
 */
static __always_inline void remember_buffer(__u64 buffer, __u64 sent)
{
	struct bs_thread_buffer now = {.buffer = buffer, .sent = sent};
	__u32 tid = bpf_get_current_pid_tgid();
	struct bs_thread_buffer *known = bpf_map_lookup_elem(&buffers, &tid);

	if (known && known->buffer == buffer)
		known->sent = sent;
	else
		bpf_map_update_elem(&buffers, &tid, &now, BPF_ANY);
}

/* bscope:batch (buffer, end) */
SEC("uprobe")
int batch(struct pt_regs *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32, plan;

	stack_of_task(ctx);
	if (!is_traced(pid, &plan))
		return 0;
	remember_buffer(REGS_ARG1(ctx), REGS_ARG2(ctx));
	send_batch(REGS_ARG1(ctx), REGS_ARG2(ctx), 0);
	return 0;
}

/* bscope:buffer (buffer, first slot) */
SEC("uprobe")
int buffer(struct pt_regs *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32, plan;

	stack_of_task(ctx);
	if (!is_traced(pid, &plan))
		return 0;
	remember_buffer(REGS_ARG1(ctx), REGS_ARG2(ctx));
	if (!send_short(BS_RING_BUFFER, 0, REGS_ARG1(ctx)))
		__sync_fetch_and_add(&counters()->batch_lost, 1);
	return 0;
}

#endif
