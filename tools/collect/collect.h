/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * collect.h - everything that touches BPF: loads the programs, lights sites by traps, reads the
 * ring buffer, counts losses.
 *
 * Life: new (loads, attaches fork, exec and exit, measures) -> trace (a process) -> light
 * (sites) -> start -> poll ... -> dark (nothing is lit any more) -> drain -> counters -> free.
 * One thread only.  free at any point leaves every site a no-op.
 */
#ifndef BS_COLLECT_COLLECT_H
#define BS_COLLECT_COLLECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bpf/event.h"
#include "bpf/sample.h"

struct bs_collect;
struct bs_error;
struct bs_sample;

/* Whose hits count.  A site is in one set only. */
enum bs_traps {
	BS_TRAPS_ALL = 0,    /* of processes that are lit by traps */
	BS_TRAPS_ALWAYS = 1, /* of those lit by jumps, too: sites that no jump can light */
	BS_TRAPS = 2,
};

struct bs_collect_opts {
	size_t ring_bytes;    /* power of two and a multiple of the page size; 0: default */
	uint32_t max_sites;   /* room in the site table; 0: default (65,536) */
	uint32_t stack_kinds; /* whose stacks are taken: a bit for each enum bscope_kind; 0: none */
	uint32_t stack_bytes; /* of each stack, for the tool to unwind; 0: the kernel walks it */
	uint32_t profile_hz;  /* samples of the CPU clock per second of CPU time; 0: none */
	bool no_multi; /* use per-site perf events even where uprobe_multi works (tests, bench) */
	/* Messages of libbpf and of the verifier go here when not NULL (for -v). */
	void (*log)(const char *line);
};

/*
 * Errors, each with the remedy in err: -EPERM (names the missing capability), -ENOSYS (kernel
 * without what is needed), -ENOMEM.
 */
int bs_collect_new(const struct bs_collect_opts *opts, struct bs_collect **out,
		   struct bs_error *err);
void bs_collect_free(struct bs_collect *c);

/* "uprobe_multi" or "perf events": how sites are lit on this kernel. */
const char *bs_collect_method(const struct bs_collect *c);

/*
 * Traces a process from now on; children that it forks are traced by themselves from their
 * first instruction.  Call before light for exact counts.
 */
int bs_collect_trace(struct bs_collect *c, pid_t pid, struct bs_error *err);
/* No longer. */
void bs_collect_untrace(struct bs_collect *c, pid_t pid);
/* Is it in the set of traced processes now (told to, or a followed child)? */
bool bs_collect_traces(const struct bs_collect *c, pid_t pid);

/*
 * The processes that are traced now: at most max of them into out; returns how many it wrote. Works
 * in a child that was forked after new, too, and after the tool's death.
 */
struct bs_traced {
	pid_t pid;
	uint32_t plan; /* 0: not lit by jumps; see BS_TRACED_TRAP */
};
size_t bs_collect_traced(const struct bs_collect *c, struct bs_traced *out, size_t max);

/*
 * From now on the process counts as lit by jumps, by this plan (not 0), or by traps (0).  Called
 * while it stands still, by whoever patches it: works in a forked child.  -ENOENT if it has gone.
 */
int bs_collect_set_plan(const struct bs_collect *c, pid_t pid, uint32_t plan);

/*
 * The value of the process in the map `execs` (bpf/state.h): grows when it executes a program, and
 * that is told by a record.  0: none so far, or not known.  Works in a forked child.
 */
uint32_t bs_collect_execs(const struct bs_collect *c, pid_t pid);

/*
 * Processes that execute a program from now on, and those that are traced from now on, begin in the
 * dark: no hits count (or do again).
 */
void bs_collect_exec_dark(struct bs_collect *c, bool dark);
/* Has it, and is it still? */
bool bs_collect_is_dark(const struct bs_collect *c, pid_t pid);

/*
 * How many processes have come to share memory with a traced one, but threads and vfork children:
 * only grows.  Works in a forked child.
 */
uint64_t bs_collect_shares(const struct bs_collect *c);

/* Where the runtime of a file has its probes; offsets in the file. */
struct bs_listen {
	uint64_t batch_offset, buffer_offset, semaphore_offset;
	uint64_t stack_offset; /* 0: it has none */
};

/*
 * Listens to the probes by which the runtime in this file hands over its buffers: what they send
 * comes by poll.  Before the first site that calls it is lit.  err names path.
 */
int bs_collect_listen(struct bs_collect *c, int fd, const char *path,
		      const struct bs_listen *runtime, struct bs_error *err);

/* The thread of the process whose buffer is at this address, as the kernel's programs know; or 0.
 */
uint32_t bs_collect_owner(const struct bs_collect *c, uint32_t pid, uint64_t buffer);

/*
 * The counts with which a thread that has ended left this buffer, and forgets them.  False if none
 * has, or the kernel could not read them.
 */
bool bs_collect_end(const struct bs_collect *c, uint32_t pid, uint64_t buffer, struct bs_end *end);

/* Puts out one set of traps. */
void bs_collect_dark_traps(struct bs_collect *c, enum bs_traps set);

/* One site to be lit. */
struct bs_light {
	uint32_t index; /* 1 to max_sites */
	uint64_t probe_offset;
	uint64_t semaphore_offset; /* 0: none */
	struct bs_site_spec spec;
};

/*
 * Lights sites of one file by traps.  fd may be closed afterwards.  All or none: on error no site
 * of this call is lit.  err names path.
 */
int bs_collect_light(struct bs_collect *c, int fd, const char *path, enum bs_traps set,
		     const struct bs_light *sites, size_t n, struct bs_error *err);

/*
 * Which objects' marks count at sites that are lit by traps, from now on.  Before light, and while
 * they are lit with another mean.
 */
void bs_collect_sample(struct bs_collect *c, const struct bs_sample *sample);
/* Processors on which traps have begun a block of births. */
unsigned bs_collect_sample_places(const struct bs_collect *c);
/* Objects that were to be followed and found no place. */
uint64_t bs_collect_sample_full(const struct bs_collect *c);
/* The process has a table of its own (bscope/follow.h) there, once it is lit by jumps. */
int bs_collect_sample_table(struct bs_collect *c, pid_t pid, uint64_t table);
/*
 * It is lit by jumps from now on: what was followed by traps comes into its table.  Called while it
 * stands still, by whoever patches it: works in a forked child, and takes no memory.  What would
 * take too long stays where it is.
 */
void bs_collect_sample_move(const struct bs_collect *c, pid_t pid);
/*
 * Takes that away, object by object: nobody looks for it there any more.  A negative value of fn
 * ends it.  0 or a negative errno value.
 */
typedef int (*bs_sample_left_fn)(void *ctx, uint32_t klass, uint64_t id);
int bs_collect_sample_left(const struct bs_collect *c, pid_t pid, bs_sample_left_fn fn, void *ctx);
/* Takes away what was followed of processes that have gone: others need the room. */
void bs_collect_sample_gone(const struct bs_collect *c);

/*
 * Opens the traced interval: from now on hits count, at all lit sites at once.  Lighting and
 * darkening take some ms, in which some sites are lit and others are not: a new would be seen
 * and its drop missed.  Returns the interval's start, CLOCK_MONOTONIC.
 */
uint64_t bs_collect_start(struct bs_collect *c);

/*
 * Waits up to timeout_ms for data (0: does not wait) and hands each record to the callback, in
 * the order of the ring.  A callback that returns negative ends the call with that value.
 * Returns the number of records or -errno (-EINTR when a signal came).
 * *before_ns, when not NULL: CLOCK_MONOTONIC read before the ring was looked at: records that
 * come later are, but for threads that were descheduled inside the probe, not older.
 */
typedef int (*bs_collect_fn)(void *ctx, const void *data, size_t size);
int bs_collect_poll(struct bs_collect *c, int timeout_ms, bs_collect_fn fn, void *ctx,
		    uint64_t *before_ns);

/* For poll(2): there is more in the ring than can wait, or a process began or ended.  Borrowed. */
int bs_collect_ring_fd(const struct bs_collect *c);

/* Room in the ring: that much can come at once. */
size_t bs_collect_ring_bytes(const struct bs_collect *c);
/* A place in the ring, in bytes since it was made: what is sent from now on lies behind it. */
uint64_t bs_collect_written(const struct bs_collect *c);
/* Polls have read all that lay before such a place. */
bool bs_collect_passed(const struct bs_collect *c, uint64_t written);

/*
 * Closes the traced interval, then makes every site a no-op again; when it returns no program of
 * ours runs any more.  Returns the end of the interval, CLOCK_MONOTONIC.
 */
uint64_t bs_collect_dark(struct bs_collect *c);

struct bs_collect_counts {
	struct bs_counters sum; /* of all CPUs since new, calibration excluded */
	uint64_t received;	/* marks handed to callbacks */
	uint64_t missed; /* hits that the kernel did not pass to BPF (perf events only); part of
			    what was written and lost, not in sum */
};
int bs_collect_counts(const struct bs_collect *c, struct bs_collect_counts *out);
/* Of those, batch_lost alone, and cheaper. */
uint64_t bs_collect_batch_lost(const struct bs_collect *c);

/* --- samples of the CPU clock; with opts.profile_hz ---------------------------------------------
 */

/* struct bs_sample_head.phase */
enum bs_phase {
	BS_PHASE_NONE = 0,    /* nothing is sampled */
	BS_PHASE_WITHOUT = 1, /* no site is lit */
	BS_PHASE_WITH = 2,
};

/*
 * From now on traced processes are sampled for this phase.  With the first call, which takes a
 * second or two on a busy machine, samples are tried out and the timers of all CPUs are started;
 * they go on until free.  Errors, with err: -EPERM, -EINVAL (more often than the kernel allows),
 * -ENOSYS, -ENOMEM.
 */
int bs_collect_profile(struct bs_collect *c, enum bs_phase phase, struct bs_error *err);

/*
 * Hands over the samples that have come since, without waiting; s->at has as many words as
 * s->head says.  A callback that returns negative ends the call with that value.  0 or -errno.
 */
typedef int (*bs_profile_fn)(void *ctx, const struct bs_sample_room *s);
int bs_collect_profile_read(struct bs_collect *c, bs_profile_fn fn, void *ctx);

struct bs_profile_counts {
	uint64_t taken, lost; /* lost: of those that were taken, did not fit into the ring */
	double ns_per_sample; /* what one costs who is sampled; 0: not known */
};
void bs_collect_profile_counts(const struct bs_collect *c, struct bs_profile_counts *out);

/*
 * Where the BPF programs that run for traced processes are in the kernel, but for the one that
 * takes samples: at most max of them into out; how many there are, 0 where the kernel does not
 * tell.
 */
struct bs_kernel_code {
	uint64_t start, end;
};
size_t bs_collect_programs(const struct bs_collect *c, struct bs_kernel_code *out, size_t max);

/*
 * What one lit hit costs on this machine, in ns: the tool hits a site of its own, through the
 * very same program, with and without the probe.  Measured by new.
 */
double bs_collect_ns_per_hit(const struct bs_collect *c);
/* That is the least of some rounds; how far their median lies above it, in ns. */
double bs_collect_spread_per_hit(const struct bs_collect *c);
/*
 * And one with its stack: of so many frames, or of all the bytes asked for, whatever their frames;
 * 0 where none are taken.
 */
double bs_collect_ns_per_stack(const struct bs_collect *c, double frames);

#endif
