/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * event.h - what the BPF programs put into the ring buffer and into their maps: the contract
 * between bpf/ and tools/collect.
 *
 * Included by user space and, after vmlinux.h, by BPF code.
 */
#ifndef BS_BPF_EVENT_H
#define BS_BPF_EVENT_H

#ifndef __bpf__
#include <linux/types.h>
#endif

/* struct bs_ring_event.type */
enum bs_ring_type {
	BS_RING_MARK = 1, /* a site was hit */
	BS_RING_FORK =
		2, /* args[0]: pid of the child, which is traced from its first instruction */
	BS_RING_EXEC = 3, /* the address space was replaced; args[0], args[1]: the new short name */
	BS_RING_EXIT = 4, /* the last thread has gone; args[0]: exit code as wait(2) gives it */
};

/*
 * One record in the ring buffer; all types have this size.
 * ts_ns is CLOCK_MONOTONIC, read in the traced thread when the site was hit.
 */
struct bs_ring_event {
	__u64 ts_ns;
	__u32 pid;     /* process (tgid) in the initial pid namespace */
	__u32 tid;     /* thread */
	__u32 type;    /* enum bs_ring_type */
	__u32 site;    /* index given when the site was lit; 0 if type is not BS_RING_MARK */
	__u64 args[3]; /* operands of the site; those it has not are 0 */
};
_Static_assert(sizeof(struct bs_ring_event) == 48, "ring record");

/* Where one operand of a site is found when its probe fires.  Taken from the stapsdt note. */
enum bs_arg_where {
	BS_ARG_NONE = 0,
	BS_ARG_CONST = 1, /* value */
	BS_ARG_REG = 2,	  /* the register at byte offset `reg` of struct pt_regs */
};

/* Per lit site, in the map `sites`, at the site's index. */
struct bs_site_spec {
	__u64 value[3]; /* BS_ARG_CONST */
	__u16 reg[3];	/* BS_ARG_REG: offset in struct pt_regs, a multiple of 8 */
	__u8 where[3];	/* enum bs_arg_where */
	__u8 pad[7];
};
_Static_assert(sizeof(struct bs_site_spec) == 40, "site spec");

/*
 * Counters, per CPU, only growing; user space adds the CPUs up.
 * written counts every hit of a site by a traced process, before anything can fail, so
 * written = received + lost_ring + lost_spec.
 */
struct bs_counters {
	__u64 written;
	__u64 lost_ring;   /* ring buffer full */
	__u64 lost_spec;   /* no such site index: a defect of the tool, never of the program */
	__u64 life_lost;   /* fork, exec and exit records that did not fit; not marks */
	__u64 traced_full; /* forked children not followed: too many processes at once */
};

/* A set of counters fills a cache line. */
struct bs_counter_line {
	struct bs_counters c;
	__u64 pad[3];
};
_Static_assert(sizeof(struct bs_counter_line) == 64, "counter line");

/*
 * Attach cookie: BS_COOKIE_SITE | site, or else the number of a perf event that many sites
 * share; the site is then in the map `places` at event * BS_PLACES + (address % BS_PLACES).
 */
#define BS_COOKIE_SITE (1ull << 32)
#define BS_PLACES      4096u

/* Processes traced at once; forked children count. */
#define BS_TRACED_MAX 16384

/* Sets of counters, a power of two; with more CPUs than this, CPUs share a set. */
#define BS_CPU_LINES 256

#endif /* BS_BPF_EVENT_H */
