/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * trap.h - one record for each hit of a site that is lit by a trap.
 *
 * Sites are lit for every process that maps the file; the map `traced` decides who is looked at.
 */
#ifndef BS_BPF_TRAP_H
#define BS_BPF_TRAP_H

#include "bpf/follow.h"
#include "bpf/stack.h"
#include "bpf/state.h"

/*
 * The verifier wants a constant offset into the context, the compiler likes to merge loads that
 * differ in nothing else.  An asm statement for each register gives the one and prevents the
 * other; a few compares are cheaper than a call of bpf_probe_read_kernel().
 */
#define LOAD(n)                                                                              \
	case (n):                                                                            \
		asm volatile("%0 = *(u64 *)(%1 + %2)" : "=r"(value) : "r"(ctx), "i"((n)*8)); \
		break

static __always_inline __u64 reg_value(struct pt_regs *ctx, __u16 offset)
{
	__u64 value = 0;

	switch (offset / 8) {
		LOAD(0);
		LOAD(1);
		LOAD(2);
		LOAD(3);
		LOAD(4);
		LOAD(5);
		LOAD(6);
		LOAD(7);
		LOAD(8);
		LOAD(9);
		LOAD(10);
		LOAD(11);
		LOAD(12);
		LOAD(13);
		LOAD(14);
		LOAD(19); /* x86-64: rsp */
#ifdef __TARGET_ARCH_arm64
		LOAD(15);
		LOAD(16);
		LOAD(17);
		LOAD(18);
		LOAD(20);
		LOAD(21);
		LOAD(22);
		LOAD(23);
		LOAD(24);
		LOAD(25);
		LOAD(26);
		LOAD(27);
		LOAD(28);
		LOAD(29);
		LOAD(30);
		LOAD(31); /* sp */
#endif
	}
	return value;
}

static __always_inline __u64 operand(struct pt_regs *ctx, const struct bs_site_spec *spec, int i)
{
	/* An operand that is missing has the value 0 in its spec. */
	if (spec->where[i] != BS_ARG_REG)
		return spec->value[i];
	return reg_value(ctx, spec->reg[i]);
}

/* A number beyond the map `sites` if there is none. */
static __always_inline __u32 site_index(struct pt_regs *ctx)
{
	__u64 cookie = bpf_get_attach_cookie(ctx);
	const __u32 *site;
	__u32 key;

	if (cookie & BS_COOKIE_SITE)
		return cookie;
	key = cookie * BS_PLACES + REGS_IP(ctx) % BS_PLACES;
	site = bpf_map_lookup_elem(&places, &key);
	return site ? *site : ~0u;
}

/* 0 if it did not fit into the ring. */
static __always_inline int send(__u32 type, __u32 site, __u64 now, const __u64 args[3], int look)
{
	__u64 id = bpf_get_current_pid_tgid();
	__u64 flags = BPF_RB_NO_WAKEUP;
	struct bs_ring_event *event = NULL;

	if (!ring_is_full())
		event = bpf_ringbuf_reserve(&ring, sizeof(*event), 0);
	if (!event)
		return 0;
	event->ts_ns = now;
	event->pid = id >> 32;
	event->tid = id;
	event->type = type;
	event->site = site;
	event->args[0] = args[0];
	event->args[1] = args[1];
	event->args[2] = args[2];
	if (look && bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) >= wake_bytes)
		flags = BPF_RB_FORCE_WAKEUP;
	bpf_ringbuf_submit(event, flags);
	return 1;
}

/* With its stack, or not at all: one without could not be told from one that has none. */
static __always_inline int send_mark_stack(struct pt_regs *ctx, __u32 site, __u64 now,
					   const __u64 args[3])
{
	__u64 id = bpf_get_current_pid_tgid();
	struct bs_ring_event event = {
		.ts_ns = now,
		.pid = id >> 32,
		.tid = id,
		.type = BS_RING_MARK_STACK,
		.site = site,
		.args = {args[0], args[1], args[2]},
	};

	return stack_bytes ? send_copy(ctx, &event, REGS_IP(ctx), REGS_SP(ctx))
			   : send_stack(ctx, &event, 0);
}

SEC("uprobe")
int trap(struct pt_regs *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32, site, plan;
	const struct bs_site_spec *spec;
	struct bs_counters *count;
	__u64 args[3], hits, now;
	int what;

	stack_of_task(ctx);
	if (!is_traced(pid, &plan) || plan == BS_TRACED_DARK)
		return 0;
	/* Where the switches are lit the interval of the process begins with them. */
	if (!interval_open && plan == BS_TRACED_TRAP)
		return 0;
	site = site_index(ctx);
	spec = bpf_map_lookup_elem(&sites, &site);
	/* Where the switch is lit the jump counts, not the trap in front of it. */
	if (plan != BS_TRACED_TRAP && (!spec || !spec->always))
		return 0;
	count = counters();
	if (!spec) {
		__sync_fetch_and_add(&count->written, 1);
		__sync_fetch_and_add(&count->lost_spec, 1);
		return 0;
	}
	args[0] = operand(ctx, spec, 0);
	args[1] = operand(ctx, spec, 1);
	args[2] = operand(ctx, spec, 2);
	what = follow_what(spec, site, plan != BS_TRACED_TRAP, args);
	if (!what)
		return 0;
	hits = count->written;
	now = bpf_ktime_get_ns();
	if (what & FOLLOW_MARK) {
		int sent = stack_kinds >> (spec->kind & 31) & 1
				   ? send_mark_stack(ctx, site, now, args)
				   : send(BS_RING_MARK, site, now, args, !(hits & wake_mask));

		__sync_fetch_and_add(&count->written, 1);
		if (!sent)
			__sync_fetch_and_add(&count->lost_ring, 1);
	}
	/* No event; but one that is lost is as bad. */
	if (what & FOLLOW_FORGET && !send(BS_RING_FORGOTTEN, site, now, args, 0)) {
		__sync_fetch_and_add(&count->written, 1);
		__sync_fetch_and_add(&count->lost_ring, 1);
	}
	return 0;
}

#endif
