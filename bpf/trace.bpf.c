// SPDX-License-Identifier: GPL-2.0-only
/*
 * trace.bpf.c - all BPF programs of a trace in one object, since they share their maps: trap.h (a
 * hit of a site that is lit by a trap), batch.h (buffers of threads whose sites are lit by
 * jumps), stack.h (stacks of events), life.h (fork, exec, exit), profile.h (samples of the CPU
 * clock).
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "bpf/batch.h"
#include "bpf/life.h"
#include "bpf/profile.h"
#include "bpf/stack.h"
#include "bpf/trap.h"

char LICENSE[] SEC("license") = "GPL";
