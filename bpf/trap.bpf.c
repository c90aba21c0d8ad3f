// SPDX-License-Identifier: GPL-2.0-only
/*
 * trap.bpf.c - one record for each hit of a lit site, and for fork, exec and exit of the
 * traced processes.
 *
 * Sites are lit for every process that maps the file; the map `traced` decides who is looked
 * at.  A child is put into it while its parent is still inside fork, so its first instruction
 * is already counted.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "bpf/event.h"

char LICENSE[] SEC("license") = "GPL";

#ifdef __TARGET_ARCH_x86
#define REGS_IP(ctx) ((ctx)->ip)
#else
#define REGS_IP(ctx) ((ctx)->pc)
#endif

#define SIGNAL_GROUP_EXIT 0x4u /* include/linux/sched/signal.h */

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
	__uint(max_entries, BS_TRACED_MAX);
	__type(key, __u32);
	__type(value, __u32);
} traced SEC(".maps");

/*
 * One member of `traced`, or 0.  With a single process, the usual case, it spares every hit the
 * look into the hash.  Written together with the map, so that it never outlives its member.
 */
__u32 favourite;

/*
 * Not 0 while hits count.  Lighting and darkening go from site to site; this makes the traced
 * interval begin and end at one instant for all of them.
 */
__u32 interval_open;

/*
 * The reader is woken by fill level, because a wake-up costs twice as much as the hit itself:
 * every wake_mask + 1 hits of a CPU the level is looked at, and from wake_bytes on the reader
 * is woken.  A wake-up missed is no harm: the reader looks by itself some times a second.
 */
const volatile __u64 wake_mask = 1023;
const volatile __u64 wake_bytes = 1024;

/*
 * One line per CPU, so that a hit writes no line that another CPU writes.  A global and not a
 * per-CPU map: it takes no lookup.  The adds are atomic since the program is preemptible and
 * may share its line: with another thread of the same CPU, or, beyond BS_CPU_LINES CPUs, with
 * another CPU.
 */
struct bs_counter_line lines[BS_CPU_LINES] __attribute__((aligned(64)));

static __always_inline struct bs_counters *counters(void)
{
	return &lines[bpf_get_smp_processor_id() & (BS_CPU_LINES - 1)].c;
}

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

SEC("uprobe")
int trap(struct pt_regs *ctx)
{
	__u64 id = bpf_get_current_pid_tgid();
	__u64 flags = BPF_RB_NO_WAKEUP;
	const struct bs_site_spec *spec;
	struct bs_ring_event *event;
	struct bs_counters *count;
	__u32 pid = id >> 32;
	__u64 hits, now;
	__u32 site;

	if (!interval_open)
		return 0;
	if (pid != favourite && !bpf_map_lookup_elem(&traced, &pid))
		return 0;

	count = counters();
	hits = count->written;
	__sync_fetch_and_add(&count->written, 1);

	site = site_index(ctx);
	spec = bpf_map_lookup_elem(&sites, &site);
	if (!spec) {
		__sync_fetch_and_add(&count->lost_spec, 1);
		return 0;
	}

	now = bpf_ktime_get_ns();
	event = bpf_ringbuf_reserve(&ring, sizeof(*event), 0);
	if (!event) {
		__sync_fetch_and_add(&count->lost_ring, 1);
		return 0;
	}
	event->ts_ns = now;
	event->pid = pid;
	event->tid = id;
	event->type = BS_RING_MARK;
	event->site = site;
	event->args[0] = operand(ctx, spec, 0);
	event->args[1] = operand(ctx, spec, 1);
	event->args[2] = operand(ctx, spec, 2);

	if (!(hits & wake_mask) && bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) >= wake_bytes)
		flags = BPF_RB_FORCE_WAKEUP;
	bpf_ringbuf_submit(event, flags);
	return 0;
}

/* Rare, and a new process may be gone soon: the reader is woken each time. */
static __always_inline void life(__u32 type, __u32 pid, __u64 arg, __u64 more)
{
	struct bs_ring_event *event;

	event = bpf_ringbuf_reserve(&ring, sizeof(*event), 0);
	if (!event) {
		__sync_fetch_and_add(&counters()->life_lost, 1);
		return;
	}
	event->ts_ns = bpf_ktime_get_ns();
	event->pid = pid;
	event->tid = bpf_get_current_pid_tgid();
	event->type = type;
	event->site = 0;
	event->args[0] = arg;
	event->args[1] = more;
	event->args[2] = 0;
	bpf_ringbuf_submit(event, BPF_RB_FORCE_WAKEUP);
}

/* (parent, child); raised by the parent before it lets the child run. */
SEC("tp_btf/sched_process_fork")
int on_fork(__u64 *ctx)
{
	struct task_struct *parent = (void *)ctx[0];
	struct task_struct *child = (void *)ctx[1];
	__u32 pid = parent->tgid, child_pid = child->tgid, one = 1;

	if (child->pid != child->tgid) /* a thread */
		return 0;
	if (!bpf_map_lookup_elem(&traced, &pid))
		return 0;
	if (bpf_map_update_elem(&traced, &child_pid, &one, BPF_ANY)) {
		__sync_fetch_and_add(&counters()->traced_full, 1);
		return 0;
	}
	life(BS_RING_FORK, pid, child_pid, 0);
	return 0;
}

/* (task, old pid, binary) */
SEC("tp_btf/sched_process_exec")
int on_exec(__u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	__u32 pid = task->tgid;
	__u64 name[2] = {0};

	if (!bpf_map_lookup_elem(&traced, &pid))
		return 0;
	bpf_get_current_comm(name, sizeof(name));
	life(BS_RING_EXEC, pid, name[0], name[1]);
	return 0;
}

/*
 * (task).  Every thread comes by here, after it has taken itself off `live`.  Two last threads may
 * both see 0: the one that takes the process out of the map reports it.
 */
SEC("tp_btf/sched_process_exit")
int on_exit(__u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	struct signal_struct *signal = task->signal;
	__u32 pid = task->tgid;
	__u32 code;

	if (!bpf_map_lookup_elem(&traced, &pid))
		return 0;
	if (signal->live.counter)
		return 0;
	if (bpf_map_delete_elem(&traced, &pid))
		return 0;
	if (favourite == pid)
		favourite = 0;
	/* As wait(2) finds it: the whole group's, or else that of the first thread. */
	if (signal->flags & SIGNAL_GROUP_EXIT)
		code = signal->group_exit_code;
	else
		code = task->group_leader->exit_code;
	life(BS_RING_EXIT, pid, code, 0);
	return 0;
}
