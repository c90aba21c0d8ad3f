/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * profile.h - where the CPU time of the traced processes goes: one record for each tick of the CPU
 * clock that finds one of them running.
 *
 * The program runs in the interrupt of a timer, with its CPU's other interrupts off: it is never
 * interrupted by itself, and what it takes itself no sample sees.
 */
#ifndef BS_BPF_PROFILE_H
#define BS_BPF_PROFILE_H

#include "bpf/state.h"
#include "bpf/sample.h"

#ifdef __TARGET_ARCH_x86
#define IN_USER(regs) ((regs)->cs & 3)
#else
#define IN_USER(regs) (!((regs)->pstate & 0xf))
#endif

/* struct bpf_perf_event_data of include/uapi/linux/bpf_perf_event.h; its registers are pt_regs. */
struct profile_event {
	struct pt_regs regs;
	__u64 sample_period;
	__u64 addr;
};

/* Tool: size is set before loading. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} samples SEC(".maps");

/* Where a record is made: the stack of a program has no room for it. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bs_sample_room);
} sample_room SEC(".maps");

/* Tool: 0: no samples are taken; else what it wants to find in each of them. */
__u32 profile_phase;

struct bs_profile_line profile_lines[BS_CPU_LINES] __attribute__((aligned(64)));

/* How many there are, of what bpf_get_stack returned: bytes, or an error. */
static __always_inline __u32 frames(long bytes, __u32 most)
{
	__u32 n = bytes > 0 ? (__u32)bytes / 8 : 0;

	return n < most ? n : most;
}

SEC("perf_event")
int profile(struct profile_event *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32, phase = profile_phase, zero = 0, plan;
	__u64 began = bpf_ktime_get_ns();
	struct bs_profile_line *line;
	struct bs_sample_room *s;
	struct pt_regs *user;
	__u32 n, kernel;

	if (!phase || !is_traced(pid, &plan))
		return 0;
	s = bpf_map_lookup_elem(&sample_room, &zero);
	if (!s)
		return 0;
	s->head.ts_ns = began;
	s->head.pid = pid;
	s->head.tid = bpf_get_current_pid_tgid();
	s->head.plan = plan;
	s->head.phase = phase;
	n = frames(bpf_get_stack(ctx, s->at, BS_SAMPLE_USER * 8, BPF_F_USER_STACK), BS_SAMPLE_USER);
	s->head.user = n;
	kernel = IN_USER(&ctx->regs)
			 ? 0
			 : frames(bpf_get_stack(ctx, &s->at[n], BS_SAMPLE_KERNEL * 8, 0),
				  BS_SAMPLE_KERNEL);
	s->head.kernel = kernel;
	n += kernel;
	user = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	s->head.near = 0;
	if (!bpf_probe_read_user(&s->at[n], BS_SAMPLE_NEAR * 8, (void *)REGS_SP(user))) {
		s->head.near = BS_SAMPLE_NEAR;
		n += BS_SAMPLE_NEAR;
	}
	line = &profile_lines[bpf_get_smp_processor_id() & (BS_CPU_LINES - 1)];
	if (bpf_ringbuf_output(&samples, s, sizeof(s->head) + n * 8, BPF_RB_NO_WAKEUP))
		__sync_fetch_and_add(&line->lost, 1);
	__sync_fetch_and_add(&line->taken, 1);
	__sync_fetch_and_add(&line->ns, bpf_ktime_get_ns() - began);
	return 0;
}

#endif
