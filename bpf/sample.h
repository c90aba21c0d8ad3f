/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * sample.h - what a sample of the CPU clock says: the contract between bpf/profile.h and
 * tools/collect.
 *
 * Included by user space and, after vmlinux.h, by BPF code.
 */
#ifndef BS_BPF_SAMPLE_H
#define BS_BPF_SAMPLE_H

#ifndef __bpf__
#include <linux/types.h>
#endif

/* Frames that the kernel walks: PERF_MAX_STACK_DEPTH is 127. */
#define BS_SAMPLE_USER	 127
#define BS_SAMPLE_KERNEL 64
/* Words from the thread's stack pointer on: the way back into the stub is in them. */
#define BS_SAMPLE_NEAR 64

/*
 * One record of the ring `samples`.  at[] has, one after the other: user frames, the innermost
 * first (the first one is where the thread was in the program, the others are return addresses);
 * kernel frames likewise, none if it was in the program; words of its stack.  Nothing of it is
 * trusted: the program made it.
 */
struct bs_sample_head {
	__u64 ts_ns; /* CLOCK_MONOTONIC */
	__u32 pid;
	__u32 tid;
	__u32 plan;  /* in the map `traced` at that moment */
	__u32 phase; /* of the tool's wish */
	__u16 user, kernel, near, pad;
};
_Static_assert(sizeof(struct bs_sample_head) == 32, "sample head");

struct bs_sample_room {
	struct bs_sample_head head;
	__u64 at[BS_SAMPLE_USER + BS_SAMPLE_KERNEL + BS_SAMPLE_NEAR + 1];
};
_Static_assert(sizeof(struct bs_sample_room) == 32 + 8 * 256, "room for a sample");

/* Of a CPU, only growing: a cache line. */
struct bs_profile_line {
	__u64 taken; /* ticks that found a traced process running */
	__u64 lost;  /* of those, that found no place in the ring */
	__u64 ns;    /* that the program itself took for them */
	__u64 pad[5];
};
_Static_assert(sizeof(struct bs_profile_line) == 64, "profile line");

#endif
