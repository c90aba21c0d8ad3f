// SPDX-License-Identifier: GPL-2.0-only
/* hit_cost_empty.bpf.c - the least that a program on a uprobe can be: what others are held to. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

SEC("uprobe")
int empty(struct pt_regs *ctx)
{
	(void)ctx;
	return 0;
}
