/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vmlinux.h - the few kernel types that the BPF programs touch.
 *
 * Not a dump of one machine's kernel: the layout given here does not matter.  Each struct
 * says preserve_access_index, so libbpf looks every member up, by name, in the BTF of the
 * kernel that it loads into and corrects its offset.  README.md says how to add one.
 */
#ifndef BS_VMLINUX_H
#define BS_VMLINUX_H

#include <linux/types.h>
#include <linux/bpf.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	unsigned long sig[1]; /* the first 64 */
} sigset_t;

struct signal_struct {
	atomic_t live; /* threads that have not gone through exit */
	int group_exit_code;
	unsigned int flags;
};

struct task_struct {
	int pid;
	int tgid;
	int exit_code;
	unsigned int flags;   /* PF_* */
	struct mm_struct *mm; /* compared, never followed */
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct signal_struct *signal;
	sigset_t blocked;
};

#pragma clang attribute pop

/*
 * The context of a uprobe.  This layout is user ABI (ptrace, signal frames, perf), the same in
 * every kernel, so it needs no relocation: on arm64 the kernel's struct begins with these.
 */
#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r15;
	unsigned long r14;
	unsigned long r13;
	unsigned long r12;
	unsigned long bp;
	unsigned long bx;
	unsigned long r11;
	unsigned long r10;
	unsigned long r9;
	unsigned long r8;
	unsigned long ax;
	unsigned long cx;
	unsigned long dx;
	unsigned long si;
	unsigned long di;
	unsigned long orig_ax;
	unsigned long ip;
	unsigned long cs;
	unsigned long flags;
	unsigned long sp;
	unsigned long ss;
};
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	__u64 regs[31];
	__u64 sp;
	__u64 pc;
	__u64 pstate;
};
#else
#error "vmlinux.h: add struct pt_regs of this architecture"
#endif

#endif /* BS_VMLINUX_H */
