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

#include <bscope/buffer.h>

/* struct bs_ring_event.type */
enum bs_ring_type {
	BS_RING_MARK = 1, /* a site was hit */
	BS_RING_FORK = 2, /* args[0]: pid of the child, which is traced from its first instruction;
			     args[1]: 1 if it shares its parent's memory (vfork);
		      args[2]: its value in the map `traced` */
	BS_RING_EXEC = 3, /* the address space was replaced; args[0], args[1]: the new short name;
			     args[2]: its value in the map `execs`, 0 if there is none, and
			     BS_EXEC_HEARD */
	BS_RING_EXIT = 4, /* the last thread has gone; args[0]: exit code as wait(2) gives it */
	BS_RING_FORGOTTEN = 5, /* the object args[0], of the class of this site, is not followed
				  from here on (bscope/follow.h) */
	/* A thread was ended by a signal, or by another one that ended the process or executed a
	 * program: whatever it was in the middle of. */
	BS_RING_KILLED = 10,
	/* Those are for buffers.h. */
	BS_RING_BATCH = 6,  /* struct bs_ring_batch: half a buffer */
	BS_RING_BUFFER = 7, /* a thread has taken a buffer; args[0]: its address */
	BS_RING_LEFT = 11,  /* its thread has ended, or executes another program, and all of its
			       events were sent; args: its address, next and extra, as in a batch */
	/* struct bs_ring_stack */
	BS_RING_STACK = 8,	/* of the event that a thread is about to commit; args: its buffer,
				   the number of its slot, the stack pointer at the site */
	BS_RING_MARK_STACK = 9, /* BS_RING_MARK with its stack */
};

/* In args[2] of BS_RING_EXEC: hits of traps count from the first instruction of the program on. */
#define BS_EXEC_HEARD 1u

/*
 * One record in the ring buffer; all types have this size but BS_RING_BATCH and those with a stack.
 * ts_ns is CLOCK_MONOTONIC, read in the traced thread when the site was hit.
 */
struct bs_ring_event {
	__u64 ts_ns;
	__u32 pid;     /* process (tgid) in the initial pid namespace */
	__u32 tid;     /* thread */
	__u32 type;    /* enum bs_ring_type */
	__u32 site;    /* index given when the site was lit; 0 unless of a mark, or forgotten */
	__u64 args[3]; /* operands of the site; those it has not are 0 */
};
_Static_assert(sizeof(struct bs_ring_event) == 48, "ring record");

/* struct bs_ring_batch.flags */
#define BS_BATCH_LAST 1u /* the thread has ended, or executes another program */

/*
 * The half of a buffer that ends at or after slot `end`, as it was found in the thread's memory.
 * Begins as bs_ring_event does.  Nothing in it is trusted: the program wrote it.
 */
struct bs_ring_batch {
	__u64 ts_ns;
	__u32 pid;
	__u32 tid;
	__u32 type; /* BS_RING_BATCH */
	__u32 flags;
	__u64 buffer;		  /* address of the struct bscope_buffer */
	__u64 end;		  /* number of the slot behind the last one meant */
	__u64 owner, next, extra; /* of the buffer, read before the slots */
	struct bscope_slot slots[BSCOPE_BATCH_SLOTS];
};
_Static_assert(sizeof(struct bs_ring_batch) == 64 + 16 * BSCOPE_BATCH_SLOTS, "ring batch");

/*
 * A stack.  Addresses of code: the site itself, then return addresses, the innermost first.  The
 * record is as long as they are or somewhat longer; as many as BS_STACK_MAX may not be all.
 */
#define BS_STACK_MAX   127u /* the kernel gives no more (kernel.perf_event_max_stack) */
#define BS_STACK_SHORT 30u  /* short ones take less room */

/* struct bs_ring_stack.form: what follows. */
#define BS_STACK_WALKED 1u
#define BS_STACK_COPIED 2u /* it is a struct bs_ring_copy */

struct bs_ring_stack {
	struct bs_ring_event event;
	__u32 n;    /* addresses, at least 1 */
	__u32 form; /* BS_STACK_* */
	__u64 ip[BS_STACK_MAX];
};
_Static_assert(sizeof(struct bs_ring_stack) == 56 + 8 * BS_STACK_MAX, "ring stack");

/*
 * What a stack can be unwound from (x86-64): the registers that functions keep, as at the site,
 * and memory from below the stack pointer on.  The record is as long as was asked for, n says how
 * much of it could be read.
 */
#define BS_STACK_RED_ZONE 128u /* System V ABI, AMD64 supplement, section 3.2.2 */
/* The length of a record of the ring has a limit of its own, far above this. */
#define BS_STACK_BYTES_MIN 256u
#define BS_STACK_BYTES_MAX 65528u

struct bs_ring_copy {
	struct bs_ring_event event;
	__u32 n;    /* bytes */
	__u32 form; /* BS_STACK_COPIED */
	__u64 ip;   /* the site */
	__u64 sp;
	__u64 bp, bx, r12, r13, r14, r15;
	__u64 start; /* address of the first byte */
	__u8 bytes[];
};
_Static_assert(sizeof(struct bs_ring_copy) == 128, "ring copy");

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
	__u8 always;	/* counts in processes whose sites are lit by jumps as well */
	__u8 kind;	/* enum bscope_kind */
	__u8 pad;
	__u32 klass; /* number of its class */
};
_Static_assert(sizeof(struct bs_site_spec) == 40, "site spec");

/*
 * Counters, per CPU, only growing; user space adds the CPUs up.
 * written counts every trap of a site by a traced process, before anything can fail, so
 * written = received + lost_ring + lost_spec.  Events in buffers are counted there.
 */
struct bs_counters {
	__u64 written;
	__u64 lost_ring;   /* ring buffer full */
	__u64 lost_spec;   /* no such site index: a defect of the tool, never of the program */
	__u64 life_lost;   /* fork, exec and exit records that did not fit; not marks */
	__u64 traced_full; /* forked children not followed: too many processes at once */
	__u64 batch_lost;  /* batches that did not fit; their events may have been read elsewhere */
	__u64 last_lost;   /* of threads that have ended: did not fit, or could not be read */
	__u64 stacks_lost; /* stacks of events in buffers that did not fit */
};

/* A set of counters fills a cache line. */
struct bs_counter_line {
	struct bs_counters c;
};
_Static_assert(sizeof(struct bs_counter_line) == 64, "counter line");

/*
 * Attach cookie: BS_COOKIE_SITE | site, or else the number of a perf event that many sites
 * share; the site is then in the map `places` at event * BS_PLACES + (address % BS_PLACES).
 */
#define BS_COOKIE_SITE (1ull << 32)
#define BS_PLACES      4096u

/*
 * Value of the map `traced`: how the sites of the process are lit.  0: by traps, all hits count.
 * Else by jumps, and the number is that of the plan (target/guardian.h) that its text follows;
 * traps count for sites that are `always`.  Forked children inherit it with the text; exec makes
 * it 0; or BS_TRACED_DARK where traps are lit for nobody, or about to go dark: of such a process,
 * and of its children, no hits count, rather than those of some sites or of some time, until the
 * tool gives it another value.  So does darkening.
 */
#define BS_TRACED_TRAP 0u
#define BS_TRACED_DARK 0xffffffffu

/* Of the maps of objects that are followed by traps (bpf/follow.h). */
struct bs_follow_key {
	__u64 id;
	__u32 pid;
	__u32 klass; /* number of its class */
};

/* Where a table of followed objects says how many found no place: struct bscope_follow.full. */
#define BS_FOLLOW_FULL 8u

/* Of a stratum: births up to the one that is followed, and of its block behind it. */
struct bs_follow_block {
	__u32 left; /* 0: none has begun */
	__u32 behind;
	__u32 epoch;
	__u32 pad;
};

/* Threads that have a buffer, at once, in all traced processes. */
#define BS_THREADS_MAX 65536

/*
 * The last counts of a buffer whose thread has ended, in the map `ends`: exact, whether or not the
 * batch that brought its slots fitted into the ring.
 */
struct bs_end_key {
	__u64 buffer;
	__u32 pid;
	__u32 pad;
};
struct bs_end {
	__u64 next, extra;
	__u64 ts_ns; /* when it ended */
};

/* Value of the map `buffers`: a thread's buffer, and up to which slot it has been sent. */
struct bs_thread_buffer {
	__u64 buffer;
	__u64 sent;
};

/* Processes traced at once; forked children count. */
#define BS_TRACED_MAX 65536

/* Sets of counters, a power of two; with more CPUs than this, CPUs share a set. */
#define BS_CPU_LINES 256

#endif /* BS_BPF_EVENT_H */
