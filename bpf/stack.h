/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * stack.h - the user's stack of an event: of one that the runtime is about to commit to a buffer,
 * and of a site that is lit by a trap.
 *
 * The kernel walks frame pointers, from the registers at the probe.  What it finds first is where
 * the probe is; that is replaced by the site.  Or the tool unwinds it: then it gets registers and a
 * copy of the stack.
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

/* How much of the stack is copied; 0: none, the kernel walks. */
const volatile __u32 stack_bytes;

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

#ifdef __TARGET_ARCH_x86
/* Read at once; a multiple of it is read without another look at where pages end. */
#define CHUNK 4096u

/*
 * Copies from memory that may end anywhere: bpf_probe_read_user is all or nothing, and stacks are
 * mapped by pages.  (A page that was never touched is not read either.)  Each piece begins at a
 * known offset, so that the verifier knows that it fits.
 */
static __always_inline __u32 copy_user(__u8 *to, __u64 from)
{
	for (__u32 at = 0; at < BS_STACK_BYTES_MAX && at < stack_bytes; at += CHUNK) {
		__u32 size = stack_bytes - at < CHUNK ? stack_bytes - at : CHUNK;
		__u32 room = CHUNK - ((from + at) & (CHUNK - 1));

		if (!bpf_probe_read_user(to + at, size, (void *)(from + at)))
			continue;
		if (room >= size || bpf_probe_read_user(to + at, room, (void *)(from + at)))
			return at;
		return at + room;
	}
	return stack_bytes;
}

/* The callee-saved registers are the site's own; see buffer.h, bscope:stack. */
static __always_inline int send_copy(struct pt_regs *ctx, const struct bs_ring_event *event,
				     __u64 site, __u64 sp)
{
	struct bs_ring_copy *to;

	if (ring_is_full())
		return 0;
	to = bpf_ringbuf_reserve(&ring, sizeof(*to) + stack_bytes, 0);
	if (!to)
		return 0;
	to->event = *event;
	to->form = BS_STACK_COPIED;
	to->ip = site;
	to->sp = sp;
	to->bp = ctx->bp;
	to->bx = ctx->bx;
	to->r12 = ctx->r12;
	to->r13 = ctx->r13;
	to->r14 = ctx->r14;
	to->r15 = ctx->r15;
	to->start = sp - BS_STACK_RED_ZONE;
	to->n = copy_user(to->bytes, to->start);
	bpf_ringbuf_submit(to, wake_flags());
	return 1;
}
#else
/* The tool asks for copies on x86-64 alone. */
#define send_copy(ctx, event, site, sp) 0
#endif

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

	stack_of_task(ctx);
	if (!is_traced(id >> 32, &plan))
		return 0;
	event.ts_ns = bpf_ktime_get_ns();
	event.pid = id >> 32;
	event.tid = id;
	event.type = BS_RING_STACK;
	event.args[0] = REGS_ARG1(ctx);
	event.args[1] = REGS_ARG2(ctx);
	event.args[2] = REGS_ARG4(ctx);
	if (!(stack_bytes ? send_copy(ctx, &event, REGS_ARG3(ctx), REGS_ARG4(ctx))
			  : send_stack(ctx, &event, REGS_ARG3(ctx))))
		__sync_fetch_and_add(&counters()->stacks_lost, 1);
	return 0;
}

#endif
