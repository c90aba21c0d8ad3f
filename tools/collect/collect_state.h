/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * collect_state.h - the loaded BPF programs and what they keep lit; shared by the files collect*.c
 * and by nobody else.
 */
#ifndef BS_COLLECT_COLLECT_STATE_H
#define BS_COLLECT_COLLECT_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "collect/collect.h"
#include "collect/light.h"

struct bpf_program;
struct holder;
struct ring_buffer;
struct trace_bpf;

struct bpf_link;

struct links {
	struct bs_link *v;
	size_t n;
};

struct bs_collect {
	struct trace_bpf *skel;
	struct ring_buffer *ring;
	/*
	 * The first two pages of the ring, of which each begins with a count of bytes: what was
	 * read, by the library, and what was written (include/uapi/linux/bpf.h and
	 * kernel/bpf/ringbuf.c in Linux).
	 */
	const unsigned char *places;
	size_t page;
	int wait_fd; /* epoll over the ring */
	bool multi;
	uint32_t stack_kinds, stack_bytes;
	uint32_t max_sites;
	size_t ring_bytes;
	struct links traps[BS_TRAPS]; /* keep sites lit by traps */
	struct links batches;	      /* keep the probes of the runtime lit */
	struct holder *holders;
	size_t n_holders;

	/* samples of the CPU clock; see collect_profile.c */
	uint32_t profile_hz; /* 0: none */
	struct ring_buffer *samples;
	struct bpf_link **timers; /* one for each CPU that runs */
	size_t n_timers;
	struct bs_profile_line profile_base; /* what measuring took */
	double profile_fixed_ns;	     /* of a sample, but for its program */
	bs_profile_fn profile_fn;
	void *profile_ctx;
	int profile_ret;

	/* what the tool itself caused while it tried out and measured */
	struct bs_counters base;
	uint64_t base_missed;
	double ns_per_hit, spread_per_hit;
	double ns_per_stack; /* of two frames */
	double ns_per_frame; /* and of each further one */

	uint64_t received;
	bool more; /* the ring was not read to its end */
	/* of the poll that is running */
	bs_collect_fn fn;
	void *fn_ctx;
	int fn_ret;
	int handed;
	size_t handed_bytes;
};

/* --- collect_poll.c: what comes from the kernel ----------------------------------------------- */

/* For ring_buffer__new(): hands one record to whom bs_ring_consume() was told, and counts it. */
int bs_ring_on_record(void *ctx, void *data, size_t size);

/*
 * Reads the ring without waiting, up to a limit; fn NULL: throws away.  How many records, or what
 * fn returned if that was negative, or -errno.
 */
int bs_ring_consume(struct bs_collect *c, bs_collect_fn fn, void *ctx);

/* As the programs have counted since they were loaded, what the tool itself caused included. */
void bs_collect_read_counters(const struct bs_collect *c, struct bs_counters *sum);

/*
 * Up to Linux 5.19 a uprobe's program is skipped when another program, or a change of a map,
 * is under way on its CPU.  The kernel counts that.
 * 0, or -errno with *missed = 0.
 */
int bs_collect_read_missed(const struct bs_collect *c, uint64_t *missed);

/* --- collect_profile.c: samples of the CPU clock ---------------------------------------------- */

/* Between opening and loading: whether there are samples, and how many fit. */
int bs_profile_size(struct bs_collect *c);
/* After loading: 0 or -errno. */
int bs_profile_init(struct bs_collect *c);
void bs_profile_fini(struct bs_collect *c);

/* --- collect_sites.c: what is lit ------------------------------------------------------------- */

/* Runs the program at the probes, until what it adds to `to` is closed. */
int bs_collect_attach(struct bs_collect *c, const struct bpf_program *program, struct links *to,
		      const char *path, const struct bs_probe *probes, size_t n);

/* --- collect_traced.c: whose hits count ------------------------------------------------------- */

/* Into the map of traced processes, lit by traps.  0 or -errno. */
int bs_collect_remember(struct bs_collect *c, pid_t pid);
/* And out of it. */
void bs_collect_forget(struct bs_collect *c, pid_t pid);

#endif
