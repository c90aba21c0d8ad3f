/* SPDX-License-Identifier: GPL-2.0-only */
/* state.h - maps, counters and switches that the BPF programs share with each other and the tool.
 */
#ifndef BS_BPF_STATE_H
#define BS_BPF_STATE_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "bpf/event.h"

#ifdef __TARGET_ARCH_x86
#define REGS_IP(ctx) ((ctx)->ip)
#else
#define REGS_IP(ctx) ((ctx)->pc)
#endif
#define REGS_SP(ctx) ((ctx)->sp)

/* Tool: sizes are set before loading. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bs_site_spec);
} sites SEC(".maps");

/* Sites by place, where sites share perf events. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} places SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, BS_TRACED_MAX);
	__type(key, __u32);
	__type(value, __u32);
} traced SEC(".maps");

/*
 * Twice the number of programs that a traced process has executed and told of, and one more from
 * when its memory is about to go until the next one runs (where the kernel says so: Linux 6.10).
 * Who has heard of fewer does not know what is there now.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, BS_TRACED_MAX);
	__type(key, __u32);
	__type(value, __u32);
} execs SEC(".maps");

/* Thread to the signals that it had blocked when one was delivered to it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, BS_THREADS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} handlers SEC(".maps");

/* Not all of them did fit. */
__u32 handlers_full;

/* Thread to its buffer. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, BS_THREADS_MAX);
	__type(key, __u32);
	__type(value, struct bs_thread_buffer);
} buffers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, BS_THREADS_MAX);
	__type(key, struct bs_end_key);
	__type(value, struct bs_end);
} ends SEC(".maps");

/*
 * One member of `traced`, or 0, and its value there.  With a single process, the usual case, it
 * spares every hit the look into the hash.  Written together with the map, so that it never
 * outlives its member.
 */
__u32 favourite;
__u32 favourite_plan;

/* Processes that came to share memory with a traced one, no threads and no vfork children. */
__u64 shares;

/*
 * Not 0 while hits count.  Lighting and darkening go from site to site; this makes the traced
 * interval begin and end at one instant for all of them.
 */
__u32 interval_open;

/* What exec makes of the value in `traced`: BS_TRACED_TRAP, or BS_TRACED_DARK. */
__u32 exec_plan;

/*
 * The reader is woken by fill level, because a wake-up costs twice as much as the hit itself:
 * every wake_mask + 1 hits of a CPU the level is looked at, and from wake_bytes on the reader
 * is woken.  A wake-up missed is no harm: the reader looks by itself some times a second.
 */
const volatile __u64 wake_mask = 1023;
const volatile __u64 wake_bytes = 1024;

/*
 * Events fill the ring up to here.  The rest is for the records that say who comes and goes: what
 * they cost cannot be counted afterwards, lost events can.
 */
const volatile __u64 full_bytes = 3584;

/*
 * One line per CPU, so that a hit writes no line that another CPU writes.  A global and not a
 * per-CPU map: it takes no lookup.  The adds are atomic since the program is preemptible and
 * may share its line: with another thread of the same CPU, or, beyond BS_CPU_LINES CPUs, with
 * another CPU.
 */
struct bs_counter_line lines[BS_CPU_LINES] __attribute__((aligned(64)));

/*
 * From Linux 6.13 on a program of this type that uses some dozens of bytes of stack finds them in
 * memory of the CPU, not of the task.  That is right for kprobes, which do not nest.  At a uprobe
 * the kernel lets another task come in between, and its hit writes over the stack of the first:
 * then hits were of the wrong site (seen on 6.17 and 7.3, with PREEMPT_LAZY).  A program that has a
 * tail call anywhere gets the stack of the task.  This one is never made, and the verifier removes
 * it, after it has seen it.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} nowhere SEC(".maps");
const volatile __u32 never;

/* First in each program of a uprobe. */
static __always_inline void stack_of_task(struct pt_regs *ctx)
{
	if (never)
		bpf_tail_call(ctx, &nowhere, 0);
}

static __always_inline struct bs_counters *counters(void)
{
	return &lines[bpf_get_smp_processor_id() & (BS_CPU_LINES - 1)].c;
}

static __always_inline int ring_is_full(void)
{
	return bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > full_bytes;
}

/* Is the process traced, and how? */
static __always_inline int is_traced(__u32 pid, __u32 *plan)
{
	const __u32 *value;

	if (pid == favourite) {
		*plan = favourite_plan;
		return 1;
	}
	value = bpf_map_lookup_elem(&traced, &pid);
	if (!value)
		return 0;
	*plan = *value;
	return 1;
}

#endif
