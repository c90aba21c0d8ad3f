/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * stack.h - the user's stack of an event: of one that the runtime is about to commit to a buffer,
 * and of a site that is lit by a trap.
 *
 * The kernel walks frame pointers, from the registers at the probe.  What it finds first is where
 * the probe is; that is replaced by the site.
 */
#ifndef BS_BPF_STACK_H
#define BS_BPF_STACK_H

#include "bpf/batch.h"
#include "bpf/state.h"

#ifdef __TARGET_ARCH_x86
#define REGS_ARG3(ctx) ((ctx)->dx)
#define REGS_ARG4(ctx) ((ctx)->cx)
#else
#define REGS_ARG3(ctx) ((ctx)->regs[2])
#define REGS_ARG4(ctx) ((ctx)->regs[3])
#endif

/* Of which kinds (a bit for each enum bscope_kind), where sites are lit by traps. */
const volatile __u32 stack_kinds;

/* Bytes of a record with so many frames. */
#define STACK_BYTES(frames) (sizeof(struct bs_ring_stack) - (BS_STACK_MAX - (frames)) * 8)

/*
 * Walks into a record; returns how many addresses there are.  site: what the first one is, where
 * the probe is not at the site itself.
 */
static __always_inline __u32 stack_walk(struct pt_regs *ctx, struct bs_ring_stack *to, __u32 bytes,
					__u64 site)
{
	long got = bpf_get_stack(ctx, to->ip, bytes, BPF_F_USER_STACK);
	__u32 n = got > 0 ? (__u32)got / 8 : 0;

	if (site)
		to->ip[0] = site;
	else if (!n)
		to->ip[0] = REGS_IP(ctx);
	return n ? n : 1;
}

/*
 * 0 if it did not fit into the ring.  Most stacks are short, and room in the ring is taken before
 * it is known how much is needed.
 */
static __always_inline int send_stack(struct pt_regs *ctx, const struct bs_ring_event *event,
				      __u64 at)
{
	struct bs_ring_stack *to;
	__u32 n;

	if (ring_is_full())
		return 0;
	to = bpf_ringbuf_reserve(&ring, STACK_BYTES(BS_STACK_SHORT), 0);
	if (!to)
		return 0;
	n = stack_walk(ctx, to, BS_STACK_SHORT * 8, at);
	if (n < BS_STACK_SHORT)
		goto send;
	bpf_ringbuf_discard(to, BPF_RB_NO_WAKEUP);
	to = bpf_ringbuf_reserve(&ring, sizeof(*to), 0);
	if (!to)
		return 0;
	n = stack_walk(ctx, to, BS_STACK_MAX * 8, at);
send:
	to->event = *event;
	to->n = n;
	to->form = BS_STACK_WALKED;
	bpf_ringbuf_submit(to, wake_flags());
	return 1;
}

/* bscope:stack (buffer, slot, site, stack pointer) */
SEC("uprobe")
int stack(struct pt_regs *ctx)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct bs_ring_event event = {0};
	__u32 plan;

	if (!is_traced(id >> 32, &plan))
		return 0;
	event.ts_ns = bpf_ktime_get_ns();
	event.pid = id >> 32;
	event.tid = id;
	event.type = BS_RING_STACK;
	event.args[0] = REGS_ARG1(ctx);
	event.args[1] = REGS_ARG2(ctx);
	event.args[2] = REGS_ARG4(ctx);
	if (!send_stack(ctx, &event, REGS_ARG3(ctx)))
		__sync_fetch_and_add(&counters()->stacks_lost, 1);
	return 0;
}

#endif
